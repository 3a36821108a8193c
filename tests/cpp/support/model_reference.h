// The model's tests compare to this: GPT-2 as Hugging Face defines it, in double with plain loops.
//
// A model is a chain of 2L blocks on the residual stream (attention, then the hidden layer, of each
// layer) between the embedding and the head. Each block is a pure function of its input, so that a
// finite difference of a late parameter need not run the early blocks again.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "model/layout.h"
#include "model_reference_dropout.h"

namespace cllm {

class ModelReference {
 public:
  /// Copies the parameters out of a flat range; with a source, the config's dropout rates apply.
  ModelReference(const ModelConfig& config, const ParameterLayout& layout, const float* parameters,
                 TokenBatch batch, const DropoutSource* source = nullptr)
      : C(config.width),
        H(config.heads),
        V(config.vocabulary),
        L(config.layers),
        R(batch.rows()),
        T(batch.length),
        layout_(layout),
        batch_(std::move(batch)),
        parameters_(parameters, parameters + layout.flat_size()),
        dropout_{config, source, T} {
    streams_.push_back(embed());
    for (std::int64_t b = 0; b < 2 * L; ++b) streams_.push_back(block(b, streams_.back()));
  }

  /// Returns the mean cross-entropy.
  double loss() const { return head(streams_.back(), nullptr); }
  /// Returns [R, V'].
  Doubles logits() const {
    Doubles out;
    head(streams_.back(), &out);
    return out;
  }

  /// Returns the loss with one parameter moved; blocks before its reader are not run again.
  double loss_with(std::int64_t offset, double change) {
    double& parameter = parameters_[index(offset)];
    const double before = parameter;
    parameter += change;
    const std::int64_t first = first_block(offset);
    Doubles x = first < 0 ? embed() : streams_[index(first)];
    for (std::int64_t b = std::max<std::int64_t>(first, 0); b < 2 * L; ++b) x = block(b, x);
    const double moved = head(x, nullptr);
    parameter = before;
    return moved;
  }

  /// Returns the loss with all parameters moved along a direction in the flat range.
  double loss_along(const Doubles& direction, double step) const {
    ModelReference moved = *this;
    for (std::size_t i = 0; i < direction.size(); ++i) moved.parameters_[i] += step * direction[i];
    Doubles x = moved.embed();
    for (std::int64_t b = 0; b < 2 * L; ++b) x = moved.block(b, x);
    return moved.head(x, nullptr);
  }

  const std::int64_t C, H, V, L, R, T;

 protected:
  static std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }
  const double* at(std::int64_t offset) const { return parameters_.data() + offset; }
  double* at(std::int64_t offset) { return parameters_.data() + offset; }

  Doubles embed() const {
    Doubles x(index(R * C));
    for (std::int64_t i = 0; i < R * C; ++i) {
      const std::int64_t r = i / C, c = i % C;
      x[index(i)] = at(layout_.token_embedding())[batch_.inputs[index(r)] * C + c] +
                    at(layout_.position_embedding())[r % T * C + c];
    }
    dropout_.drop_embedding(x);
    return x;
  }

  /// Normalises row by row: (x - mean) / sqrt(variance + 1e-5) * weight + bias, [R, C].
  Doubles norm(const Doubles& x, std::int64_t weight, std::int64_t bias) const {
    Doubles out(x.size());
    for (std::int64_t r = 0; r < R; ++r) {
      const auto [mean, rstd] = moments(x.data() + r * C);
      for (std::int64_t c = 0; c < C; ++c) {
        out[index(r * C + c)] = (x[index(r * C + c)] - mean) * rstd * at(weight)[c] + at(bias)[c];
      }
    }
    return out;
  }
  std::pair<double, double> moments(const double* row) const {
    double mean = 0, variance = 0;
    for (std::int64_t c = 0; c < C; ++c) mean += row[c];
    mean /= static_cast<double>(C);
    for (std::int64_t c = 0; c < C; ++c) variance += (row[c] - mean) * (row[c] - mean);
    return {mean, 1 / std::sqrt(variance / static_cast<double>(C) + 1e-5)};
  }

  /// Returns x[R, in] W[in, out] + b[out].
  Doubles linear(const Doubles& x, std::int64_t in, std::int64_t weight, std::int64_t out,
                 std::int64_t bias) const {
    Doubles y(index(R * out));
    for (std::int64_t i = 0; i < R * out; ++i) y[index(i)] = at(bias)[i % out];
    multiply_add(R, in, out, x.data(), at(weight), y.data());
    return y;
  }

  /// Returns the probabilities of one row of one head over columns 0..t, from qkv[R, 3C].
  Doubles attention_weights(const Doubles& qkv, std::int64_t row, std::int64_t h) const {
    const std::int64_t D = C / H, t = row % T, first = row - t;
    const double* q = qkv.data() + row * 3 * C + h * D;
    Doubles weights;
    double most = -INFINITY, sum = 0;
    for (std::int64_t s = 0; s <= t; ++s) {
      const double* key = qkv.data() + (first + s) * 3 * C + C + h * D;
      double score = 0;
      for (std::int64_t d = 0; d < D; ++d) score += q[d] * key[d];
      weights.push_back(score / std::sqrt(static_cast<double>(D)));
      most = std::max(most, weights.back());
    }
    for (double& w : weights) sum += w = std::exp(w - most);
    for (double& w : weights) w /= sum;
    return weights;
  }

  /// Returns the heads side by side, [R, C].
  Doubles attend(std::int64_t layer, const Doubles& qkv) const {
    const std::int64_t D = C / H;
    Doubles out(index(R * C));
    for (std::int64_t r = 0; r < R; ++r) {
      for (std::int64_t h = 0; h < H; ++h) {
        Doubles weights = attention_weights(qkv, r, h);
        for (std::size_t s = 0; s < weights.size(); ++s) {
          weights[s] *= dropout_.of_weight(layer, r, s, h);
          const double* v =
              qkv.data() + (r - r % T + static_cast<std::int64_t>(s)) * 3 * C + 2 * C + h * D;
          for (std::int64_t d = 0; d < D; ++d) out[index(r * C + h * D + d)] += weights[s] * v[d];
        }
      }
    }
    return out;
  }

  Doubles block(std::int64_t b, const Doubles& x) const {
    const NetworkLayer& o = layout_.layer(b / 2);
    const auto& [qkv, projection, hidden, output] = o.linears;
    Doubles y;
    if (b % 2 == 0) {
      y = linear(norm(x, o.norm1.weight, o.norm1.bias), C, qkv.weight, 3 * C, qkv.bias);
      y = linear(attend(b / 2, y), C, projection.weight, C, projection.bias);
    } else {
      y = linear(norm(x, o.norm2.weight, o.norm2.bias), C, hidden.weight, 4 * C, hidden.bias);
      for (double& h : y) h = reference_gelu(h);
      y = linear(y, 4 * C, output.weight, C, output.bias);
    }
    dropout_.drop_added(b, y);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += x[i];
    return y;
  }

  /// Returns the mean cross-entropy of x[R, C] by the tied head; keeps `logits`[R, V'] if given.
  double head(const Doubles& x, Doubles* logits) const {
    const Doubles features = norm(x, layout_.final_norm().weight, layout_.final_norm().bias);
    const Doubles tokens = transposed(V, C, at(layout_.token_embedding()));
    double loss = 0;
    for (std::int64_t r = 0; r < R; ++r) {
      Doubles row(index(V));
      multiply_add(1, C, V, features.data() + r * C, tokens.data(), row.data());
      double most = -INFINITY, sum = 0;
      for (const double z : row) most = std::max(most, z);
      for (const double z : row) sum += std::exp(z - most);
      loss += most + std::log(sum) - row[index(batch_.targets[index(r)])];
      if (logits != nullptr) logits->insert(logits->end(), row.begin(), row.end());
    }
    return loss / static_cast<double>(R);
  }

  /// Returns the first block that reads a parameter; -1: the embedding does.
  std::int64_t first_block(std::int64_t offset) const {
    if (offset >= layout_.final_norm().weight) return 2 * L;
    for (std::int64_t l = L - 1; l >= 0; --l) {
      if (offset >= layout_.layer(l).norm2.weight) return 2 * l + 1;
      if (offset >= layout_.layer(l).norm1.weight) return 2 * l;
    }
    return -1;
  }

  const ParameterLayout& layout_;
  const TokenBatch batch_;
  Doubles parameters_;
  const ReferenceDropout dropout_;
  std::vector<Doubles> streams_;  // [2L + 1] of [R, C]: inputs of each block and of the head
};

}  // namespace cllm
