#include "model/inference.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "cllm/error.h"

namespace cllm {
namespace {

std::size_t floats(std::int64_t count) { return static_cast<std::size_t>(count); }

}  // namespace

Generator::Generator(const ModelConfig& config, const ParameterLayout& layout,
                     const float* parameters, Gemm& gemm, const KernelTable& kernels)
    : config_(config), layout_(layout), parameters_(parameters), gemm_(gemm), kernels_(kernels) {
  const std::int64_t T = config.context, C = config.width;
  const std::int64_t rows = std::min(kChunk, T);
  window_.reserve(floats(T));
  keys_ = AlignedBuffer<float>(floats(config.layers * C * T));
  values_ = AlignedBuffer<float>(floats(config.layers * C * T));
  x_ = AlignedBuffer<float>(floats(rows * C));
  sum_ = AlignedBuffer<float>(floats(rows * C));
  normed_ = AlignedBuffer<float>(floats(rows * C));
  qkv_ = AlignedBuffer<float>(floats(rows * 3 * C));
  attended_ = AlignedBuffer<float>(floats(rows * C));
  gelu_ = AlignedBuffer<float>(floats(rows * config.hidden()));
  scores_ = AlignedBuffer<float>(floats(T));
  weights_ = AlignedBuffer<float>(floats(T));
  mean_ = AlignedBuffer<float>(floats(rows));
  rstd_ = AlignedBuffer<float>(floats(rows));
  logits_ = AlignedBuffer<float>(floats(config.vocabulary));
}

Span<const float> Generator::prefill(Span<const std::int32_t> tokens) {
  if (tokens.empty()) throw InputError(ErrorParts{"no token to start from", "", "", "prompt", ""});
  for (const std::int32_t token : tokens) check_token(token);
  const std::size_t kept = std::min(tokens.size(), floats(config_.context));
  window_.assign(tokens.end() - kept, tokens.end());
  extend(0);
  return logits_.span();
}

Span<const float> Generator::step(std::int32_t token) {
  check_token(token);
  std::int64_t first = context();
  if (first == config_.context) {
    window_.erase(window_.begin(), window_.end() - config_.context / 2);
    first = 0;
  }
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

void Generator::multiply(const Linear& linear, std::int64_t rows, const float* x, float* y) {
  gemm_.run({linear.forward_form(),
             rows,
             linear.outputs,
             linear.inputs,
             {x, linear.inputs},
             {parameters_ + linear.weight, linear.columns()},
             {y, linear.outputs},
             false});
}

void Generator::normalise(const Norm& norm, std::int64_t rows, const float* x) {
  kernels_.layernorm_forward(rows, config_.width, x, parameters_ + norm.weight,
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
  const float* const p = parameters_;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t token = window_[floats(first + r)];
    kernels_.add(floats(C), p + layout_.token_embedding() + token * C,
                 p + layout_.position_embedding() + (first + r) * C, x_.data() + r * C);
  }
  for (std::int64_t l = 0; l < config_.layers; ++l) {
    const NetworkLayer& layer = layout_.layer(l);
    const auto& [qkv, projection, hidden, output] = layer.linears;
    normalise(layer.norm1, rows, x_.data());
    multiply(qkv, rows, normed_.data(), qkv_.data());
    const MatrixView<float> heads{qkv_.data(), qkv.outputs};
    kernels_.bias_add(rows, qkv.outputs, p + qkv.bias, heads, heads);
    attend(l, first, rows);
    add_to_stream(projection, rows, attended_.data());
    normalise(layer.norm2, rows, x_.data());
    multiply(hidden, rows, normed_.data(), gelu_.data());
    const MatrixView<float> gelu{gelu_.data(), hidden.outputs};
    kernels_.bias_gelu(rows, hidden.outputs, p + hidden.bias, gelu, gelu, {nullptr, 0});
    add_to_stream(output, rows, gelu_.data());
  }
}

void Generator::add_to_stream(const Linear& linear, std::int64_t rows, const float* from) {
  const std::int64_t C = config_.width;
  multiply(linear, rows, from, sum_.data());
  kernels_.bias_residual(rows, C, parameters_ + linear.bias, {x_.data(), C}, {sum_.data(), C});
  std::swap(x_, sum_);
}

void Generator::attend(std::int64_t layer, std::int64_t first, std::int64_t rows) {
  const std::int64_t C = config_.width, D = config_.head_width(), T = config_.context;
  const float scale = 1.0f / std::sqrt(static_cast<float>(D));
  float* const scores = scores_.data();
  for (std::int64_t h = 0; h < config_.heads; ++h) {
    float* const keys = keys_.data() + (layer * config_.heads + h) * D * T;      // [D, T]
    float* const values = values_.data() + (layer * config_.heads + h) * T * D;  // [T, D]
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* const q = qkv_.data() + r * 3 * C + h * D;
      const float* const k = q + C;
      const float* const v = q + 2 * C;
      const std::int64_t seen = first + r + 1;
      for (std::int64_t d = 0; d < D; ++d) keys[d * T + seen - 1] = k[d];
      std::copy(v, v + D, values + (seen - 1) * D);

      std::fill(scores, scores + seen, 0.0f);
      for (std::int64_t d = 0; d < D; ++d) {
        const float qd = q[d] * scale;
        const float* const row = keys + d * T;
        for (std::int64_t j = 0; j < seen; ++j) scores[j] += qd * row[j];
      }
      float top = 0, sum = 0;
      kernels_.softmax_stats(1, seen, {scores, seen}, &top, &sum);
      for (std::int64_t j = 0; j < seen; ++j) scores[j] -= top;
      kernels_.exp(floats(seen), scores, weights_.data());

      float* const out = attended_.data() + r * C + h * D;
      std::fill(out, out + D, 0.0f);
      const float inverse = 1.0f / sum;
      for (std::int64_t j = 0; j < seen; ++j) {
        const float weight = weights_[floats(j)] * inverse;
        const float* const row = values + j * D;
        for (std::int64_t d = 0; d < D; ++d) out[d] += weight * row[d];
      }
    }
  }
}

}  // namespace cllm
