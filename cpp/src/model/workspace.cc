#include "model/workspace.h"

#include <type_traits>

#include "model/tiling.h"

namespace cllm {
namespace {

/// Hands out consecutive pieces, each starting on its own cache line; counts only when base is
/// null.
class Cutter {
 public:
  explicit Cutter(float* base) : base_(base) {}
  template <class T = float>
  T* take(std::int64_t count) {
    const std::size_t at = used_;
    const std::int64_t bytes = count * static_cast<std::int64_t>(sizeof(T));
    used_ += static_cast<std::size_t>(ceil_div(bytes, 128) * 32);
    return base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + at);
  }
  std::size_t used() const { return used_; }

 private:
  float* base_;
  std::size_t used_ = 0;
};

/// Makes room for columns_of(linear) columns of each linear map with an adapter. All layers have
/// the same.
template <class T, class Columns>
std::array<T*, kLinearSites> cut_adapted(Cutter& cut, const ParameterLayout& layout, std::int64_t R,
                                         Columns columns_of) {
  std::array<T*, kLinearSites> all{};
  for (std::size_t i = 0; i < kLinearSites; ++i) {
    const Linear& linear = layout.layer(0).linears[i];
    if (linear.adapter.exists()) all[i] = cut.take<T>(R * columns_of(linear));
  }
  return all;
}
std::int64_t adapted_columns(const Linear& linear) { return linear.adapter.width(); }
std::int64_t input_columns(const Linear& linear) { return linear.inputs; }

template <class T>
void cut_forward(Cutter& cut, const ParameterLayout& layout, std::int64_t R, Pass pass,
                 Operands<T>& o) {
  const ModelConfig& config = layout.config();
  const std::int64_t C = config.width, F = config.hidden();
  o.layers.clear();
  for (std::int64_t l = 0; l < config.layers; ++l) {
    if (l > 0 && shares_layers(pass)) {
      o.layers.push_back(o.layers.front());
      continue;
    }
    LayerOperands<T> layer{};
    layer.qkv = cut.take<T>(R * config.qkv_width());
    layer.attended = cut.take<T>(R * config.query_width());
    layer.activated = cut.take<T>(R * F);
    if (trains(pass)) layer.slope = cut.take<T>(R * F);
    if (trains(pass) && config.is_gated()) layer.up_slope = cut.take<T>(R * F);
    layer.adapted = cut_adapted<T>(cut, layout, R, adapted_columns);
    o.layers.push_back(layer);
  }
  o.normed1 = cut.take<T>(R * C);
  o.normed2 = cut.take<T>(R * C);
  o.features = cut.take<T>(R * C);
  if (trains(pass) && layout.adapter_dropout() > 0) {
    o.dropped = cut_adapted<T>(cut, layout, R, input_columns);
  }
}

template <class T>
void cut_backward(Cutter& cut, const ParameterLayout& layout, std::int64_t R, const Workspace& w,
                  Operands<T>& o) {
  const ModelConfig& config = layout.config();
  const std::int64_t C = config.width, Q = config.query_width();
  if constexpr (std::is_same_v<T, float>) {
    o.dx[0] = w.dx[0];
    o.dx[1] = w.dx[1];
    o.dmiddle = w.dmiddle;
    o.dattended = Q == C ? w.dnorm : cut.take<T>(R * Q);
  } else {
    o.dattended = cut.take<T>(R * Q);
  }
  if (!std::is_same_v<T, float> || config.dropout.residual > 0) {
    for (T** operand : {&o.dx[0], &o.dx[1], &o.dmiddle}) *operand = cut.take<T>(R * C);
  }
  o.dhidden = cut.take<T>(R * config.hidden() * (config.is_gated() ? 2 : 1));
  o.dqkv = cut.take<T>(R * config.qkv_width());
  o.dadapted = cut_adapted<T>(cut, layout, R, adapted_columns);
}

}  // namespace

Workspace::Workspace(const ParameterLayout& layout, const ShardShape& largest, Pass pass,
                     Precision precision)
    : precision_(precision), memory_(floats_for(layout, largest, pass, precision)) {
  lay_out(memory_.data(), layout, largest, pass);
}

Workspace::Workspace(const ParameterLayout& layout, const ShardShape& largest, Pass pass,
                     Precision precision, float* memory)
    : precision_(precision) {
  lay_out(memory, layout, largest, pass);
}

std::size_t Workspace::floats_for(const ParameterLayout& layout, const ShardShape& largest,
                                  Pass pass, Precision precision) {
  constexpr std::int64_t kPage = 4096 / sizeof(float);
  Workspace counting(precision);
  const auto floats = static_cast<std::int64_t>(counting.lay_out(nullptr, layout, largest, pass));
  return static_cast<std::size_t>(ceil_div(floats, kPage) * kPage);
}

std::size_t Workspace::bytes_for(const ParameterLayout& layout, const ShardShape& largest,
                                 Pass pass, Precision precision) {
  return sizeof(float) * floats_for(layout, largest, pass, precision);
}

std::size_t Workspace::lay_out(float* base, const ParameterLayout& layout,
                               const ShardShape& largest, Pass pass) {
  Cutter cut(base);
  const ModelConfig& config = layout.config();
  const bool bf16 = precision_ == Precision::kBf16;
  const std::int64_t R = largest.rows(), C = config.width, V = config.vocabulary;
  // GPT-2 alone has means and biases of norms.
  const auto take_if = [&cut](bool exists, std::int64_t count) {
    return exists ? cut.take(count) : nullptr;
  };
  const bool means = config.is_gpt2(), head_norms = config.has_head_norms();
  layers.clear();
  for (std::int64_t l = 0; l < config.layers; ++l) {
    if (l > 0 && shares_layers(pass)) {
      layers.push_back(layers.front());
      if (trains(pass)) layers.back().x = cut.take(R * C);
      continue;
    }
    LayerActivations a{};
    a.x = cut.take(R * C);
    a.mean1 = take_if(means, R);
    a.rstd1 = cut.take(R);
    a.lse = cut.take(R * config.heads);
    a.middle = cut.take(R * C);
    a.mean2 = take_if(means, R);
    a.rstd2 = cut.take(R);
    a.heads = take_if(head_norms, R * config.qkv_width());
    a.head_rstd = take_if(head_norms, R * (config.heads + config.key_value_heads()));
    layers.push_back(a);
  }
  x_final = cut.take(R * C);
  if (!trains(pass)) x_final = layers.front().x;
  mean_final = take_if(means, R);
  rstd_final = cut.take(R);
  bf16 ? cut_forward(cut, layout, R, pass, halves_) : cut_forward(cut, layout, R, pass, floats_);
  const std::int64_t chunk = most_logit_rows(R, V);
  logits = cut.take(chunk * V);
  const std::int64_t blocks = ceil_div(V, kLeastVocabularyBlock);
  block_max = cut.take(blocks * chunk);
  block_sum = cut.take(blocks * chunk);
  row_loss = cut.take(R);
  if (!trains(pass)) return cut.used();

  dx[0] = cut.take(R * C);
  dx[1] = cut.take(R * C);
  dmiddle = cut.take(R * C);
  dnorm = cut.take(R * C);
  bf16 ? cut_backward(cut, layout, R, *this, halves_)
       : cut_backward(cut, layout, R, *this, floats_);
  // A shard with fewer rows may be cut in more tiles, but a tile has at least 16 rows.
  const std::int64_t groups = ceil_div(R, 16) + 1;
  hidden_bias = take_if(config.is_gpt2(), groups * config.hidden());
  qkv_bias = take_if(config.has_qkv_biases(), largest.sequences * config.qkv_width());
  for (float** sums : {&query_norm, &key_norm}) {
    *sums = take_if(head_norms, largest.sequences * config.key_value_heads() * config.head_width());
  }
  for (PartialSums* p : {&norm1, &norm2, &norm_final}) {
    p->gamma = cut.take(groups * C);
    p->beta = take_if(config.is_gpt2(), groups * C);
    p->below = take_if(config.is_gpt2(), groups * C);
  }
  return cut.used();
}

}  // namespace cllm
