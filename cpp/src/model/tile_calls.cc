#include "model/tile_calls.h"

#include <algorithm>
#include <array>

namespace cllm {
namespace {

class TileCalls {
 public:
  TileCalls(const ShardCuts& cuts, const Phase& phase, std::int64_t tile, CallListener& listener)
      : cuts_(cuts), phase_(phase), tile_(tile), listener_(listener) {}

  void list() const;

 private:
  std::int64_t width() const { return cuts_.config.width; }
  bool gpt2() const { return cuts_.config.is_gpt2(); }
  const DropoutRates& rates() const { return cuts_.config.dropout; }
  Range pass_range() const {
    const std::int64_t begin = tile_ * cuts_.pass_rows;
    return {begin, std::min(cuts_.shape.rows(), begin + cuts_.pass_rows)};
  }

  bool adapted() const { return cuts_.layout->adapted(); }
  bool places() const { return cuts_.layout->network().position_embedding.has_value(); }
  bool trains_places() const {
    return places() && cuts_.layout->trains(cuts_.layout->position_embedding());
  }

  /// Dropout draws for each sequence apart, so there is a call for the rows of each.
  void by_sequence(const char* kernel, bool stored, const Range& rows, std::int64_t n) const {
    for (std::int64_t r = rows.begin; r < rows.end;) {
      const std::int64_t L = cuts_.shape.length, end = std::min(rows.end, (r / L + 1) * L);
      listener_.pass(kernel, stored, end - r, n);
      r = end;
    }
  }
  void drop_embedding(const Range& rows) const {
    if (rates().embedding > 0) by_sequence("dropout_rows", false, rows, width());
  }
  void add_residual(const Range& rows, std::int64_t n) const {
    if (rates().residual > 0) return by_sequence("bias_dropout_residual", false, rows, n);
    listener_.pass("bias_residual", false, rows.size(), n);
  }
  /// It also makes the sums for the bias of the linear map below, if there is one.
  void hand_down(const Range& rows) const {
    if (rates().residual > 0) return by_sequence("dropout_rows", true, rows, width());
    if (gpt2() && !adapted()) listener_.pass("column_sums", false, rows.size(), width());
  }
  void norm(const Range& rows) const {
    listener_.pass(gpt2() ? "norm_forward" : "rmsnorm_forward", true, rows.size(), width());
  }
  /// `lowest`: it is the first layer's first norm, and the embeddings lie below it.
  void norm_backward(const Range& rows, bool lowest) const {
    listener_.pass(gpt2() ? "norm_backward" : "rmsnorm_backward", true, rows.size(), width());
    lowest ? drop_embedding(rows) : hand_down(rows);
  }
  void sums(std::int64_t groups, std::int64_t columns, int times) const {
    for (int i = 0; i < times; ++i) listener_.pass("column_sums", false, groups, columns);
  }

  /// A tile of a product on `grid`, summed over k; returns its rows.
  Range product(const Grid& grid, GemmForm form, bool by_weight, std::int64_t k) const {
    const Range m = grid.row_range(tile_);
    listener_.product(form, by_weight, m.size(), grid.column_range(tile_).size(), k);
    return m;
  }
  /// Dropout of what an adapter reads, or of its gradient.
  void drop(const Range& rows, std::int64_t n) const {
    if (cuts_.layout->adapter_dropout() > 0) by_sequence("bias_dropout_residual", false, rows, n);
  }
  /// What an adapter adds to the columns n of a linear map.
  void add_adapter(const Linear& linear, const Range& m, const Range& n) const {
    for (const AdapterPart& part : linear.adapter.parts) {
      const std::int64_t columns =
          std::min(n.end, part.first + part.outputs) - std::max(n.begin, part.first);
      if (columns > 0) {
        listener_.product(GemmForm::kNT, false, m.size(), columns, linear.adapter.rank);
      }
    }
  }
  /// Each tile makes those columns of a gate, and of what it multiplies.
  void add_adapters(const Linear& linear, const Range& m, const Range& n) const {
    add_adapter(linear, m, n);
    const std::int64_t half = linear.outputs / 2;
    if (linear.parts() == 2) add_adapter(linear, m, {half + n.begin, half + n.end});
  }
  void adapt_backward(const Linear& linear) const {
    const Grid& grid = cuts_.linear(phase_.site).adapted_parts;
    const auto part = static_cast<std::size_t>(grid.column_range(tile_).begin / grid.tile_columns);
    product(grid, GemmForm::kNN, false, linear.adapter.parts[part].outputs);
  }
  void adapter_b() const {
    std::int64_t tile = tile_;
    for (const Grid& grid : cuts_.linear(phase_.site).b) {
      if (tile < grid.tiles()) {
        return listener_.product(GemmForm::kTN, false, grid.row_range(tile).size(),
                                 grid.column_range(tile).size(), cuts_.shape.rows());
      }
      tile -= grid.tiles();
    }
  }
  void linear(const Linear& linear) const {
    const Grid& grid = cuts_.linear(phase_.site).forward;
    const Range m = product(grid, linear.forward_form(), true, linear.inputs);
    const std::int64_t n = grid.column_range(tile_).size();
    add_adapters(linear, m, grid.column_range(tile_));
    switch (linear.epilogue) {
      case Epilogue::kNone:
        return;
      case Epilogue::kBias:
        return listener_.pass("bias_add", true, m.size(), n);
      case Epilogue::kHeads:
        return heads(m, grid.column_range(tile_));
      case Epilogue::kActivation:
        return listener_.pass(activation_name(), true, m.size(), n);
      case Epilogue::kGated:
        product(grid, linear.forward_form(), true, linear.inputs);  // of the other half
        return listener_.pass("swiglu", true, m.size(), n);
      case Epilogue::kResidual:
        add_residual(m, n);
        if (cuts_.whole_rows) norm(m);
    }
  }
  const char* activation_name() const {
    const Activation activation = cuts_.config.activation();
    if (activation == Activation::kGelu) return "bias_gelu_erf";
    return activation == Activation::kRelu ? "bias_relu" : "bias_gelu";
  }
  void heads(const Range& m, const Range& n) const {
    const std::int64_t D = cuts_.config.head_width();
    const std::int64_t values = cuts_.config.query_width() + cuts_.config.key_width();
    const std::int64_t turned = std::max<std::int64_t>(0, std::min(n.end, values) - n.begin);
    if (turned > 0 && cuts_.config.has_head_norms()) {
      listener_.pass("rmsnorm_forward", false, m.size() * turned / D, D);
    }
    if (turned > 0) listener_.pass("rotary_forward", true, m.size(), turned);
    if (turned < n.size()) listener_.pass("bias_add", true, m.size(), n.size() - turned);
  }
  void linear_backward(const Linear& linear) const {
    const Grid& grid = cuts_.linear(phase_.site).backward;
    const Range m = product(grid, linear.backward_form(), true, linear.outputs);
    if (linear.adapter.exists()) {
      product(grid, GemmForm::kNN, false, linear.adapter.width());
      drop(m, grid.column_range(tile_).size());
    }
    if (linear.from == InputFrom::kActivation) {
      const char* kernel = cuts_.config.is_gated() ? "swiglu_backward" : "gelu_backward";
      listener_.pass(kernel, true, m.size(), grid.column_range(tile_).size());
    }
    const bool lowest = phase_.site == LinearSite::kQkv && phase_.layer == 0;
    if (linear.from == InputFrom::kNorm && cuts_.whole_rows) norm_backward(m, lowest);
  }

  void attention() const {
    const std::int64_t T = cuts_.shape.length, tiles = cuts_.attention_group_tiles();
    const AttentionGroup group = cuts_.attention_group(tile_ / tiles);
    const std::int64_t begin = tile_ % tiles * cuts_.heads_per_tile;
    const std::int64_t items = std::min(group.items, begin + cuts_.heads_per_tile) - begin;
    // Of the T^2 / 2 pairs of a whole head, those of the block's queries.
    const auto first = static_cast<double>(group.block * cuts_.query_rows);
    const auto last = static_cast<double>(std::min(T, (group.block + 1) * cuts_.query_rows));
    const double share = (last * last - first * first) / static_cast<double>(T * T);
    listener_.attention(rates().attention > 0 ? "attention_forward_dropout" : "attention_forward",
                        static_cast<double>(items * cuts_.config.head_group()) * share);
  }
  void attention_backward() const {
    const ModelConfig& config = cuts_.config;
    const std::int64_t T = cuts_.shape.length, D = config.head_width(), group = config.head_group();
    listener_.attention(rates().attention > 0 ? "attention_backward_dropout" : "attention_backward",
                        static_cast<double>(group));
    if (!config.is_gpt2()) {
      const bool normed = config.has_head_norms();  // they turn as floats
      listener_.pass("rotary_backward", !normed, T, (group + 1) * D);
      if (normed) listener_.pass("rmsnorm_backward", true, T * (group + 1), D);
    }
    if (!config.has_qkv_biases() || adapted()) return;
    listener_.pass("column_sums", true, T, group * D);
    for (int part = 0; part < 2; ++part) listener_.pass("column_sums", true, T, D);
  }

  const ShardCuts& cuts_;
  const Phase& phase_;
  const std::int64_t tile_;
  CallListener& listener_;
};

void TileCalls::list() const {
  const NetworkLayer& layer = cuts_.layout->layer(phase_.layer);
  const Linear& linear = layer.linear(phase_.site);
  const Linear& head = cuts_.layout->network().head;
  const std::int64_t R = cuts_.shape.rows(), chunk = phase_.chunk;
  switch (phase_.op) {
    case Op::kEmbed:
      if (places()) listener_.add(width() * pass_range().size(), 1);
      drop_embedding(pass_range());
      return norm(pass_range());
    case Op::kNorm1:
    case Op::kNorm2:
    case Op::kNormFinal:
      return norm(pass_range());
    case Op::kDropAgain:
      return drop(cuts_.linear(phase_.site).adapted.row_range(tile_), linear.inputs);
    case Op::kAdapt:
      drop(cuts_.linear(phase_.site).adapted.row_range(tile_), linear.inputs);
      product(cuts_.linear(phase_.site).adapted, GemmForm::kNT, false, linear.inputs);
      return;
    case Op::kAdaptBackward:
      return adapt_backward(linear);
    case Op::kAdapterA:
      product(cuts_.linear(phase_.site).adapter_a, GemmForm::kTN, false, R);
      return;
    case Op::kAdapterB:
      return adapter_b();
    case Op::kLinear:
      return this->linear(linear);
    case Op::kAttention:
      return attention();
    case Op::kLogits: {
      const Grid grid = cuts_.logits(chunk);
      const Range m = product(grid, head.forward_form(), true, head.inputs);
      return listener_.pass("softmax_stats", false, m.size(), grid.column_range(tile_).size());
    }
    case Op::kGatherCounted:
    case Op::kLoss:
    case Op::kSpreadCounted:
      return;
    case Op::kLogitGradient: {
      const std::int64_t rest = cuts_.chunk_size(chunk) - tile_ * cuts_.loss_rows;
      return listener_.pass("softmax_gradient", true, std::min(cuts_.loss_rows, rest),
                            head.outputs);
    }
    case Op::kFeatureGradient: {
      const Range m = product(cuts_.features(chunk), head.backward_form(), true, head.outputs);
      if (cuts_.features_fused()) norm_backward(m, false);
      return;
    }
    case Op::kTokenWeight:
      product(cuts_.token_weight, GemmForm::kTN, false, cuts_.chunk_size(chunk));
      return;
    case Op::kNormFinalBackward:
    case Op::kNorm2Backward:
      return norm_backward(pass_range(), false);
    case Op::kNorm1Backward:
      return norm_backward(pass_range(), phase_.layer == 0);
    case Op::kLinearBackward:
      return linear_backward(linear);
    case Op::kAttentionBackward:
      return attention_backward();
    case Op::kEmbedBackward:
      return listener_.add(std::min(cuts_.embed_columns, width()) * R, trains_places() ? 2 : 1);
    case Op::kLinearWeight:
      product(cuts_.linear(phase_.site).weight, GemmForm::kTN, false, R);
      return;
    case Op::kHiddenVectors:
      return sums(cuts_.linear(LinearSite::kOutput).backward.row_tiles(),
                  layer.linear(LinearSite::kHidden).outputs, 1);
    case Op::kQkvVectors:
      if (layer.query_norm) {
        sums(cuts_.shape.sequences * cuts_.config.key_value_heads(), cuts_.config.head_width(), 2);
      }
      if (!cuts_.config.has_qkv_biases()) return;
      return sums(cuts_.shape.sequences, layer.linear(LinearSite::kQkv).outputs, 1);
    case Op::kFinalVectors:
      if (adapted()) return;
      [[fallthrough]];
    case Op::kMiddleVectors:
    case Op::kInputVectors:
      return sums(cuts_.pass_tiles(), width(), gpt2() ? 3 : 1);
  }
}

Part part_of(LinearSite site) {
  constexpr Part kPartOf[] = {Part::kQkv, Part::kProjection, Part::kHidden, Part::kOutput};
  return kPartOf[static_cast<std::size_t>(site)];
}

}  // namespace

void list_calls(const ShardCuts& cuts, const Phase& phase, std::int32_t tile,
                CallListener& listener) {
  TileCalls(cuts, phase, phase.tile(tile), listener).list();
}

const char* part_name(Part part) {
  constexpr std::array<const char*, kParts> kNames = {
      "product qkv",  "product projection",  "product hidden", "product output",
      "product head", "product dX",          "product dW",     "product adapters",
      "attention",    "norm and activation", "embedding",      "loss"};
  return kNames[static_cast<std::size_t>(part)];
}

PhaseParts parts_of(const Phase& phase) {
  switch (phase.op) {
    case Op::kLinear:
      return {part_of(phase.site), Part::kNormAndActivation};
    case Op::kLinearWeight:
      return {Part::kWeightGradients, Part::kWeightGradients};
    case Op::kAdapt:
    case Op::kAdaptBackward:
    case Op::kDropAgain:
    case Op::kAdapterA:
    case Op::kAdapterB:
      return {Part::kAdapters, Part::kAdapters};
    case Op::kGatherCounted:
    case Op::kLogits:
    case Op::kLoss:
    case Op::kLogitGradient:
    case Op::kSpreadCounted:
      return {Part::kHead, Part::kLoss};
    case Op::kFeatureGradient:
      return {Part::kHead, Part::kNormAndActivation};
    case Op::kTokenWeight:
      return {Part::kHead, Part::kHead};
    case Op::kEmbed:
    case Op::kEmbedBackward:
      return {Part::kInputGradients, Part::kEmbedding};
    case Op::kAttention:
    case Op::kAttentionBackward:
      return {Part::kInputGradients, Part::kAttention};
    default:
      return {Part::kInputGradients, Part::kNormAndActivation};
  }
}

}  // namespace cllm
