// The parts of the reference model: norms, linear maps, heads, attention and activations, of every
// family, in double with plain loops.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "family_reference.h"
#include "model/layout.h"
#include "model/rotary_table.h"
#include "model_reference_dropout.h"

namespace cllm {

/// Letters: R rows, T rows of a sequence, C width, H heads, D head width, Q, K and W the columns of
/// queries, of keys, and of q, k and v.
class ReferenceParts {
 public:
  ReferenceParts(const ModelConfig& config, const ParameterLayout& layout, const float* parameters,
                 TokenBatch batch, const DropoutSource* source)
      : C(config.width),
        H(config.heads),
        V(config.vocabulary),
        L(config.layers),
        R(batch.rows()),
        T(batch.length),
        D(config.head_width()),
        Q(config.query_width()),
        K(config.key_width()),
        W(config.qkv_width()),
        config_(config),
        layout_(layout),
        parameters_(parameters, parameters + layout.flat_size()),
        dropout_{config, source, batch.length},
        batch_(std::move(batch)),
        counted_(static_cast<double>(batch_.counted())) {}

  const std::int64_t C, H, V, L, R, T, D, Q, K, W;

 protected:
  static std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }
  const double* at(std::int64_t offset) const { return parameters_.data() + offset; }
  double* at(std::int64_t offset) { return parameters_.data() + offset; }

  /// Normalises rows as wide as the norm: (x - mean) / sqrt(variance + epsilon) * weight + bias, or
  /// x / sqrt(mean of x^2 + epsilon) * weight.
  Doubles norm(const Doubles& x, const Norm& norm, std::int64_t width) const {
    Doubles out;
    for (std::size_t row = 0; row < x.size(); row += index(width)) {
      const Doubles normed = normalised(x.data() + row, norm, width).normed;
      for (std::int64_t c = 0; c < width; ++c) {
        out.push_back(normed[index(c)] * at(norm.weight)[c] +
                      (norm.kind == NormKind::kLayer ? at(norm.bias)[c] : 0));
      }
    }
    return out;
  }
  /// Returns one normalised row. A layer norm is the RMS norm of what lies about the mean.
  RmsNormRow normalised(const double* row, const Norm& norm, std::int64_t width) const {
    Doubles x(index(width));
    std::copy_n(row, width, x.begin());
    double mean = 0;
    for (const double v : x) mean += v / static_cast<double>(width);
    if (norm.kind == NormKind::kLayer) {
      for (double& v : x) v -= mean;
    }
    return {x.data(), width, config_.norm_epsilon()};
  }

  /// Returns W[in, out] of a linear map, however it is stored.
  Doubles matrix(const Linear& linear) const {
    const double* const w = at(linear.weight);
    if (linear.order == WeightOrder::kInOut) return {w, w + linear.size()};
    return transposed(linear.outputs, linear.inputs, w);
  }
  /// Returns x[R, in] W[in, out] + b[out].
  Doubles linear(const Doubles& x, const Linear& linear) const {
    Doubles y(index(R * linear.outputs));
    if (linear.bias != kAbsent) {
      for (std::size_t i = 0; i < y.size(); ++i) y[i] = at(linear.bias)[i % index(linear.outputs)];
    }
    multiply_add(R, linear.inputs, linear.outputs, x.data(), matrix(linear).data(), y.data());
    return y;
  }

  /// Returns the norm of a head of q or k, or null.
  static const Norm* norm_of_head(const NetworkLayer& o, std::int64_t column,
                                  std::int64_t queries) {
    if (!o.query_norm) return nullptr;
    return column < queries ? &*o.query_norm : &*o.key_norm;
  }
  /// Returns the place of row r in its document.
  std::int64_t position(std::int64_t r) const { return r % T - batch_.first_key(r); }
  /// Returns the angles by which pairs of a head turn in row r.
  Doubles angles(std::int64_t r) const {
    Doubles all;
    for (const float f : rotary_frequencies(config_)) {
      all.push_back(static_cast<double>(static_cast<float>(position(r)) * f));
    }
    return all;
  }
  /// Normalises and turns the heads of q and k in qkv[R, Q + 2K], where the model does so.
  Doubles make_heads(const NetworkLayer& o, Doubles qkv) const {
    if (layout_.network().position_embedding) return qkv;
    for (std::int64_t r = 0; r < R; ++r) {
      const Doubles turns = angles(r);
      for (std::int64_t column = 0; column < Q + K; column += D) {
        double* const head = qkv.data() + r * W + column;
        if (const Norm* of_head = norm_of_head(o, column, Q)) {
          const Doubles normed = norm({head, head + D}, *of_head, D);
          std::copy(normed.begin(), normed.end(), head);
        }
        turn_head(turns, head);
      }
    }
    return qkv;
  }

  double score_scale(std::int64_t layer) const {
    const double divisor = config_.scale_by_layer ? static_cast<double>(layer + 1) : 1;
    return 1 / std::sqrt(static_cast<double>(D)) / divisor;
  }
  /// Returns the columns of k that serve head h of q in qkv[R, Q + 2K]; those of v lie K further
  /// on.
  std::int64_t key_column(std::int64_t h) const { return Q + h / config_.head_group() * D; }

  /// Returns the probabilities of one row of one head over columns 0..t; 0 before its document.
  Doubles attention_weights(std::int64_t layer, const Doubles& qkv, std::int64_t row,
                            std::int64_t h) const {
    const std::int64_t t = row % T, first = row - t;
    const double* q = qkv.data() + row * W + h * D;
    Doubles weights;
    double most = -INFINITY, sum = 0;
    for (std::int64_t s = 0; s <= t; ++s) {
      const double* key = qkv.data() + (first + s) * W + key_column(h);
      double score = 0;
      for (std::int64_t d = 0; d < D; ++d) score += q[d] * key[d];
      weights.push_back(s < batch_.first_key(row) ? -INFINITY : score * score_scale(layer));
      most = std::max(most, weights.back());
    }
    for (double& w : weights) sum += w = std::exp(w - most);
    for (double& w : weights) w /= sum;
    return weights;
  }

  /// Returns the heads side by side, [R, Q].
  Doubles attend(std::int64_t layer, const Doubles& qkv) const {
    Doubles out(index(R * Q));
    for (std::int64_t r = 0; r < R; ++r) {
      for (std::int64_t h = 0; h < H; ++h) {
        Doubles weights = attention_weights(layer, qkv, r, h);
        for (std::size_t s = 0; s < weights.size(); ++s) {
          weights[s] *= dropout_.of_weight(layer, r, s, h);
          const double* v =
              qkv.data() + (r - r % T + static_cast<std::int64_t>(s)) * W + key_column(h) + K;
          for (std::int64_t d = 0; d < D; ++d) out[index(r * Q + h * D + d)] += weights[s] * v[d];
        }
      }
    }
    return out;
  }

  double activation(double h) const {
    switch (config_.activation()) {
      case Activation::kGelu:
        return gelu_erf(h);
      case Activation::kRelu:
        return relu(h);
      default:
        return reference_gelu(h);
    }
  }
  /// Returns [R, F] from hidden[R, F], or from the gate and what it multiplies, [R, 2F].
  Doubles activate(const Doubles& hidden) const {
    const std::int64_t F = config_.hidden();
    Doubles out(index(R * F));
    for (std::int64_t i = 0; i < R * F; ++i) {
      const std::int64_t gate = i / F * 2 * F + i % F;
      out[index(i)] = config_.is_gated() ? silu(hidden[index(gate)]) * hidden[index(gate + F)]
                                         : activation(hidden[index(i)]);
    }
    return out;
  }

  const ModelConfig config_;
  const ParameterLayout& layout_;
  Doubles parameters_;
  const ReferenceDropout dropout_;
  const TokenBatch batch_;
  const double counted_;
};

}  // namespace cllm
