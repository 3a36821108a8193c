#include "model/inference.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "cllm/error.h"
#include "model/rotary_table.h"

namespace cllm {
namespace {

std::size_t floats(std::int64_t count) { return static_cast<std::size_t>(count); }

std::int64_t widest_adapter(const ParameterLayout& layout) {
  std::int64_t widest = 0;
  for (const Linear& linear : layout.layer(0).linears) {
    widest = std::max(widest, linear.adapter.width());
  }
  return widest;
}

}  // namespace

Generator::Generator(const ModelConfig& config, const ParameterLayout& layout,
                     const float* parameters, Gemm& gemm, const KernelTable& kernels,
                     std::int64_t most, const float* adapters, const Bf16* matrices)
    : config_(config),
      room_(std::clamp<std::int64_t>(most, 1, config.context)),
      layout_(layout),
      parameters_(parameters),
      adapters_(adapters),
      matrices_(matrices),
      gemm_(gemm),
      kernels_(kernels) {
  const std::int64_t S = room_, C = config.width;
  const std::int64_t rows = std::min(kChunk, S);
  window_.reserve(floats(S));
  keys_ = AlignedBuffer<float>(floats(config.layers * config.key_width() * S));
  values_ = AlignedBuffer<float>(floats(config.layers * config.key_width() * S));
  x_ = AlignedBuffer<float>(floats(rows * C));
  sum_ = AlignedBuffer<float>(floats(rows * C));
  normed_ = AlignedBuffer<float>(floats(rows * C));
  qkv_ = AlignedBuffer<float>(floats(rows * config.qkv_width()));
  attended_ = AlignedBuffer<float>(floats(rows * config.query_width()));
  hidden_ =
      AlignedBuffer<float>(floats(rows * layout.layer(0).linear(LinearSite::kHidden).outputs));
  activated_ = AlignedBuffer<float>(floats(rows * config.hidden()));
  reduced_ = AlignedBuffer<float>(floats(rows * widest_adapter(layout)));
  scores_ = AlignedBuffer<float>(floats(S));
  weights_ = AlignedBuffer<float>(floats(S));
  mean_ = AlignedBuffer<float>(floats(rows));
  rstd_ = AlignedBuffer<float>(floats(rows));
  zeros_ = AlignedBuffer<float>(floats(std::max(C, config.qkv_width())));
  std::fill_n(zeros_.data(), zeros_.size(), 0.0f);
  logits_ = AlignedBuffer<float>(floats(config.vocabulary));
  if (layout.network().position_embedding) return;
  frequencies_ = rotary_frequencies(config);
  turns_ = AlignedBuffer<float>(floats(rows * config.head_width()));
}

Span<const float> Generator::prefill(Span<const std::int32_t> tokens) {
  if (tokens.empty()) throw InputError(ErrorParts{"no token to start from", "", "", "prompt", ""});
  for (const std::int32_t token : tokens) check_token(token);
  const std::size_t kept = std::min(tokens.size(), floats(config_.context));
  check_room(static_cast<std::int64_t>(kept));
  window_.assign(tokens.end() - kept, tokens.end());
  extend(0);
  return logits_.span();
}

Span<const float> Generator::read_on(Span<const std::int32_t> tokens) {
  if (tokens.empty() || tokens.size() > floats(room_)) return prefill(tokens);
  for (const std::int32_t token : tokens) check_token(token);
  const std::size_t most =
      std::min(window_.size(), tokens.size() - 1);  // the last gives the logits
  std::size_t same = 0;
  while (same < most && window_[same] == tokens[same]) ++same;
  window_.assign(tokens.begin(), tokens.end());
  extend(static_cast<std::int64_t>(same));
  return logits_.span();
}

Span<const float> Generator::step(std::int32_t token) {
  check_token(token);
  std::int64_t first = context();
  if (first == config_.context) {
    window_.erase(window_.begin(), window_.end() - config_.context / 2);
    first = 0;
  }
  check_room(context() + 1);
  window_.push_back(token);
  extend(first);
  return logits_.span();
}

void Generator::check_token(std::int32_t token) const {
  if (token >= 0 && token < config_.vocabulary) return;
  throw InputError({"token outside the vocabulary", std::to_string(token),
                    "0 to " + std::to_string(config_.vocabulary - 1), "prompt",
                    "the text was encoded with another tokenizer"});
}

void Generator::check_room(std::int64_t tokens) const {
  if (tokens <= room_) return;
  throw Error({"no room for so many tokens", std::to_string(tokens),
               "at most " + std::to_string(room_), "the generator", ""});
}

const float* Generator::weight(std::int64_t offset) const noexcept {
  return layout_.weight(offset, parameters_, adapters_);
}

void Generator::read_row(std::int64_t embedding, std::int64_t row, float* out) const {
  const std::int64_t C = config_.width;
  if (matrices_ != nullptr && !layout_.trains(embedding)) {
    return kernels_.widen_bf16(floats(C), matrices_ + embedding + row * C, out);
  }
  std::copy_n(weight(embedding) + row * C, C, out);
}

void Generator::multiply(const Linear& linear, std::int64_t rows, const float* x, float* y) {
  const auto multiply_by = [&](const auto* weights) {
    gemm_.run({linear.forward_form(),
               rows,
               linear.outputs,
               linear.inputs,
               {x, linear.inputs},
               {weights, linear.columns()},
               {y, linear.outputs},
               false});
  };
  if (matrices_ != nullptr && !layout_.trains(linear.weight)) {
    multiply_by(matrices_ + linear.weight);
  } else {
    multiply_by(weight(linear.weight));
  }
  if (linear.adapter.exists()) add_adapter(linear, rows, x, y);
}

void Generator::add_adapter(const Linear& linear, std::int64_t rows, const float* x, float* y) {
  const Adapter& adapter = linear.adapter;
  const std::int64_t U = adapter.width(), r = adapter.rank, inputs = linear.inputs;
  float* const u = reduced_.data();
  gemm_.run({GemmForm::kNT,
             rows,
             U,
             inputs,
             {x, inputs},
             {adapters_ + adapter.a, inputs},
             {u, U},
             false});
  for (std::int64_t n = 0; n < rows * U; ++n) u[n] *= adapter.scale;
  for (std::size_t p = 0; p < adapter.parts.size(); ++p) {
    const AdapterPart& part = adapter.parts[p];
    gemm_.run({GemmForm::kNT,
               rows,
               part.outputs,
               r,
               {u + static_cast<std::int64_t>(p) * r, U},
               {adapters_ + part.b, r},
               {y + part.first, linear.outputs},
               true});
  }
}

void Generator::normalise(const Norm& norm, std::int64_t rows, const float* x) {
  const std::int64_t C = config_.width;
  if (norm.kind == NormKind::kRms) {
    return kernels_.rmsnorm_forward(rows, C, epsilon(), {x, C}, parameters_ + norm.weight,
                                    {normed_.data(), C}, rstd_.data());
  }
  kernels_.layernorm_forward(rows, C, epsilon(), x, parameters_ + norm.weight,
                             parameters_ + norm.bias, normed_.data(), mean_.data(), rstd_.data());
}

void Generator::extend(std::int64_t first) {
  std::int64_t rows = 0;
  for (std::int64_t done = first; done < context(); done += rows) {
    rows = std::min(kChunk, context() - done);
    forward(done, rows);
  }
  // The head computes only the last row, because it is the largest product of a small model.
  normalise(layout_.final_norm(), 1, x_.data() + (rows - 1) * config_.width);
  multiply(layout_.network().head, 1, normed_.data(), logits_.data());
}

void Generator::forward(std::int64_t first, std::int64_t rows) {
  const std::int64_t C = config_.width;
  for (std::int64_t r = 0; r < rows; ++r) {
    float* const x = x_.data() + r * C;
    read_row(layout_.token_embedding(), window_[floats(first + r)], x);
    if (!frequencies_.empty()) continue;
    read_row(layout_.position_embedding(), first + r, sum_.data());
    kernels_.add(floats(C), x, sum_.data(), x);
  }
  if (!frequencies_.empty()) fill_rotary_table(frequencies_, first, rows, turns_.data());
  for (std::int64_t l = 0; l < config_.layers; ++l) {
    const NetworkLayer& layer = layout_.layer(l);
    normalise(layer.norm1, rows, x_.data());
    make_heads(layer, rows);
    attend(l, first, rows);
    add_to_stream(layer.linear(LinearSite::kProjection), rows, attended_.data());
    normalise(layer.norm2, rows, x_.data());
    activate(layer.linear(LinearSite::kHidden), rows);
    add_to_stream(layer.linear(LinearSite::kOutput), rows, activated_.data());
  }
}

void Generator::make_heads(const NetworkLayer& layer, std::int64_t rows) {
  const Linear& qkv = layer.linear(LinearSite::kQkv);
  const std::int64_t D = config_.head_width(), heads = config_.heads;
  const std::int64_t all = heads + config_.key_value_heads();  // those that turn
  multiply(qkv, rows, normed_.data(), qkv_.data());
  const MatrixView<float> out{qkv_.data(), qkv.outputs};
  kernels_.bias_add(rows, qkv.outputs, bias_of(qkv), out, out);
  for (std::int64_t h = 0; layer.query_norm && h < all; ++h) {
    const Norm& norm = h < heads ? *layer.query_norm : *layer.key_norm;
    const MatrixView<float> head = out.at(0, h * D);
    kernels_.rmsnorm_forward(rows, D, epsilon(), head, parameters_ + norm.weight, head,
                             rstd_.data());
  }
  if (frequencies_.empty()) return;
  kernels_.rotary_forward(rows, all, D, turns_.data(), nullptr, out, out);
}

void Generator::activate(const Linear& hidden, std::int64_t rows) {
  const std::int64_t F = config_.hidden();
  multiply(hidden, rows, normed_.data(), hidden_.data());
  const MatrixView<float> from{hidden_.data(), hidden.outputs}, to{activated_.data(), F};
  const MatrixView<float> no_slope{nullptr, 0};
  switch (config_.activation()) {
    case Activation::kSilu:
      return kernels_.swiglu(rows, F, from, from.at(0, F), to, no_slope, no_slope);
    case Activation::kGelu:
      return kernels_.bias_gelu_erf(rows, F, bias_of(hidden), from, to, no_slope);
    case Activation::kRelu:
      return kernels_.bias_relu(rows, F, bias_of(hidden), from, to, no_slope);
    default:
      return kernels_.bias_gelu(rows, F, bias_of(hidden), from, to, no_slope);
  }
}

void Generator::add_to_stream(const Linear& linear, std::int64_t rows, const float* from) {
  const std::int64_t C = config_.width;
  multiply(linear, rows, from, sum_.data());
  kernels_.bias_residual(rows, C, bias_of(linear), {x_.data(), C}, {sum_.data(), C});
  std::swap(x_, sum_);
}

void Generator::attend(std::int64_t layer, std::int64_t first, std::int64_t rows) {
  const std::int64_t D = config_.head_width(), S = room_, group = config_.head_group();
  const std::int64_t Q = config_.query_width(), K = config_.key_width(), W = config_.qkv_width();
  float scale = 1.0f / std::sqrt(static_cast<float>(D));
  if (config_.scale_by_layer) scale /= static_cast<float>(layer + 1);
  float* const scores = scores_.data();
  for (std::int64_t h = 0; h < config_.heads; ++h) {
    const std::int64_t key_head = h / group;
    const std::int64_t at = (layer * config_.key_value_heads() + key_head) * D * S;
    float* const keys = keys_.data() + at;      // [D, S]
    float* const values = values_.data() + at;  // [S, D]
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* const row = qkv_.data() + r * W;
      const float* const q = row + h * D;
      const float* const k = row + Q + key_head * D;
      const float* const v = k + K;
      const std::int64_t seen = first + r + 1;
      if (h % group == 0) {
        for (std::int64_t d = 0; d < D; ++d) keys[d * S + seen - 1] = k[d];
        std::copy(v, v + D, values + (seen - 1) * D);
      }

      std::fill(scores, scores + seen, 0.0f);
      for (std::int64_t d = 0; d < D; ++d) {
        const float qd = q[d] * scale;
        const float* const of_keys = keys + d * S;
        for (std::int64_t j = 0; j < seen; ++j) scores[j] += qd * of_keys[j];
      }
      float top = 0, sum = 0;
      kernels_.softmax_stats(1, seen, {scores, seen}, &top, &sum);
      for (std::int64_t j = 0; j < seen; ++j) scores[j] -= top;
      kernels_.exp(floats(seen), scores, weights_.data());

      float* const out = attended_.data() + r * Q + h * D;
      std::fill(out, out + D, 0.0f);
      const float inverse = 1.0f / sum;
      for (std::int64_t j = 0; j < seen; ++j) {
        const float weight = weights_[floats(j)] * inverse;
        const float* const value = values + j * D;
        for (std::int64_t d = 0; d < D; ++d) out[d] += weight * value[d];
      }
    }
  }
}

}  // namespace cllm
