#include "forecast/shard_costs.h"

namespace cllm {
namespace {

/// The calls of one tile, added up. It follows model/ops_*.h; the names are theirs.
struct TileCalls {
  const KernelClock& clock;
  const Footprints& f;
  const ShardCuts& p;
  const Phase& phase;
  const std::int64_t tile;
  const bool bf16;
  TileTime time;

  std::int64_t width() const { return p.config.width; }

  /// The kernel for what the precision stores.
  std::string own(const char* kernel) const { return std::string(bf16 ? "bf16_" : "") + kernel; }
  void product(const char* form, std::int64_t m, std::int64_t n, std::int64_t k) {
    time.product += clock.nanoseconds(own(form), {m, n, k, f.activations});
  }
  /// With a weight, which may be packed.
  void weighted(const char* form, std::int64_t m, std::int64_t n, std::int64_t k) {
    product(p.weights == WeightLayout::kPacked ? "gemm_packed" : form, m, n, k);
  }
  void rows(const std::string& kernel, std::int64_t m, std::int64_t n) {
    time.pass += clock.nanoseconds(kernel, {m, n, f.activations});
  }
  void add(std::int64_t n, std::int64_t times) {
    time.pass += static_cast<double>(times) * clock.nanoseconds("add", {n, f.activations});
  }
  Range pass_range() const {
    const std::int64_t begin = tile * p.pass_rows;
    return {begin, std::min(p.shape.rows(), begin + p.pass_rows)};
  }

  void norm(std::int64_t m) { rows(own("norm_forward"), m, width()); }
  void norm_backward(std::int64_t m) {
    rows(own("norm_backward"), m, width());
    const bool first = phase.op == Op::kQkvBackward || phase.op == Op::kNorm1Backward;
    if (!first || phase.layer > 0) rows("column_sums", m, width());  // no product below the first
  }

  /// A tile of rows times a weight, with what follows on its rows.
  template <class After>
  void forward(const Grid& grid, std::int64_t k, After after) {
    const std::int64_t m = grid.row_range(tile).size(), n = grid.column_range(tile).size();
    weighted("gemm_nn", m, n, k);
    after(m, n);
  }
  template <class After>
  void backward(const Grid& grid, std::int64_t k, After after) {
    const std::int64_t m = grid.row_range(tile).size(), n = grid.column_range(tile).size();
    weighted("gemm_nt", m, n, k);
    after(m, n);
  }
  void weight(const Grid& grid, std::int64_t k) {
    product("gemm_tn", grid.row_range(tile).size(), grid.column_range(tile).size(), k);
  }

  void attention() {
    const std::int64_t T = p.shape.length, groups = p.attention_group_tiles();
    const AttentionGroup g = p.attention_group(tile / groups);
    const std::int64_t begin = tile % groups * p.heads_per_tile;
    const std::int64_t items = std::min(g.items, begin + p.heads_per_tile) - begin;
    // Of the T^2 / 2 pairs of a whole head, those of the block's queries.
    const auto first = static_cast<double>(g.block * p.query_rows);
    const auto last = static_cast<double>(std::min(T, (g.block + 1) * p.query_rows));
    const double share = (last * last - first * first) / static_cast<double>(T * T);
    time.pass += static_cast<double>(items) * share *
                 clock.nanoseconds(own("attention_forward"), {T, p.config.head_width()});
  }
  void attention_backward() {
    const std::int64_t T = p.shape.length, D = p.config.head_width();
    time.pass += clock.nanoseconds(own("attention_backward"), {T, D});
    for (int part = 0; part < 3; ++part) rows(own("column_sums"), T, D);
  }

  void vectors(std::int64_t groups, std::int64_t columns, int times) {
    for (int i = 0; i < times; ++i) rows("column_sums", groups, columns);
  }

  void head() {
    const Grid grid = p.logits(phase.chunk);
    forward_nt(grid, width());
    rows("softmax_stats", grid.row_range(tile).size(), grid.column_range(tile).size());
  }
  void forward_nt(const Grid& grid, std::int64_t k) {
    weighted("gemm_nt", grid.row_range(tile).size(), grid.column_range(tile).size(), k);
  }

  void run();
};

void TileCalls::run() {
  const std::int64_t F = 4 * width(), R = p.shape.rows(), passes = p.pass_tiles();
  const bool fused = p.whole_rows;
  const auto nothing = [](std::int64_t, std::int64_t) {};
  const auto residual = [&](std::int64_t m, std::int64_t n) {
    rows("bias_residual", m, n);
    if (fused) norm(m);
  };
  const auto norm_down = [&](std::int64_t m, std::int64_t) {
    if (fused) norm_backward(m);
  };
  switch (phase.op) {
    case Op::kEmbed:
      add(width() * pass_range().size(), 1);
      return norm(pass_range().size());
    case Op::kNorm1:
    case Op::kNorm2:
    case Op::kNormFinal:
      return norm(pass_range().size());
    case Op::kQkv:
      return forward(p.qkv, width(),
                     [&](std::int64_t m, std::int64_t n) { rows(own("bias_add"), m, n); });
    case Op::kAttention:
      return attention();
    case Op::kProjection:
      return forward(p.projection, width(), residual);
    case Op::kHidden:
      return forward(p.hidden, width(),
                     [&](std::int64_t m, std::int64_t n) { rows(own("bias_gelu"), m, n); });
    case Op::kOutput:
      return forward(p.output, F, residual);
    case Op::kLogits:
      return head();
    case Op::kLoss:
      return;
    case Op::kLogitGradient: {
      const std::int64_t begin = tile * p.loss_rows;
      const std::int64_t m = std::min(p.loss_rows, p.chunk_size(phase.chunk) - begin);
      return rows(own("softmax_gradient"), m, p.config.vocabulary);
    }
    case Op::kFeatureGradient: {
      const Grid grid = p.features(phase.chunk);
      return forward(grid, p.config.vocabulary, [&](std::int64_t m, std::int64_t) {
        if (p.features_fused()) norm_backward(m);
      });
    }
    case Op::kNormFinalBackward:
    case Op::kNorm2Backward:
    case Op::kNorm1Backward:
      return norm_backward(pass_range().size());
    case Op::kOutputBackward:
      return backward(p.output_back, width(),
                      [&](std::int64_t m, std::int64_t n) { rows(own("gelu_backward"), m, n); });
    case Op::kHiddenBackward:
      return backward(p.hidden_back, F, norm_down);
    case Op::kProjectionBackward:
      return backward(p.projection_back, width(), nothing);
    case Op::kAttentionBackward:
      return attention_backward();
    case Op::kQkvBackward:
      return backward(p.qkv_back, 3 * width(), norm_down);
    case Op::kEmbedBackward:
      return add(std::min(p.embed_columns, width()) * R, 2);
    case Op::kTokenWeight:
      return weight(p.token_weight, p.chunk_size(phase.chunk));
    case Op::kOutputWeight:
      return weight(p.output_weight, R);
    case Op::kHiddenWeight:
      return weight(p.hidden_weight, R);
    case Op::kProjectionWeight:
      return weight(p.projection_weight, R);
    case Op::kQkvWeight:
      return weight(p.qkv_weight, R);
    case Op::kHiddenVectors:
      return vectors(p.output_back.row_tiles(), F, 1);
    case Op::kQkvVectors:
      return vectors(p.shape.sequences, 3 * width(), 1);
    case Op::kFinalVectors:
    case Op::kMiddleVectors:
    case Op::kInputVectors:
      return vectors(passes, width(), 3);
  }
}

}  // namespace

TileTime tile_time(const KernelClock& clock, const Footprints& footprints, const ShardCuts& cuts,
                   const Phase& phase, std::int32_t tile, Precision precision) {
  TileCalls calls{clock, footprints, cuts, phase, phase.tile(tile), precision == Precision::kBf16,
                  {}};
  calls.run();
  return calls.time;
}

}  // namespace cllm
