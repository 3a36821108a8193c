// The gradient of the reference model is derived by hand in double. Finite differences check it;
// they would be too slow for every element of every tensor, and it is not.
#pragma once

#include "model_reference.h"

namespace cllm {

class ModelReferenceBackward : public ModelReference {
 public:
  using ModelReference::ModelReference;

  /// Returns the gradient of the mean loss, in the layout's flat range.
  Doubles gradient() const {
    Doubles g(parameters_.size());
    Doubles dx = head_backward(g);
    for (std::int64_t b = 2 * L - 1; b >= 0; --b) block_backward(b, dx, g);
    dropout_.drop_embedding(dx);
    for (std::int64_t i = 0; i < R * C; ++i) {
      const std::int64_t r = i / C, c = i % C;
      g[index(layout_.token_embedding() + batch_.inputs[index(r)] * C + c)] += dx[index(i)];
      if (layout_.position_embedding() != kAbsent) {
        g[index(layout_.position_embedding() + position(r) * C + c)] += dx[index(i)];
      }
    }
    return g;
  }

 private:
  Doubles head_backward(Doubles& g) const {
    const Doubles& x = streams_.back();
    const Doubles features = norm(x, layout_.final_norm(), C);
    const std::int64_t weight = layout_.network().head.weight;
    const Doubles across = transposed(V, C, at(weight));
    Doubles dfeatures(x.size());
    for (std::int64_t r = 0; r < R; ++r) {
      if (batch_.targets[index(r)] == kNotCounted) continue;
      const double* f = features.data() + r * C;
      Doubles row(index(V));
      multiply_add(1, C, V, f, across.data(), row.data());
      double most = -INFINITY, sum = 0;
      for (const double z : row) most = std::max(most, z);
      for (double& z : row) sum += z = std::exp(z - most);
      for (double& z : row) z /= sum * counted_;
      row[index(batch_.targets[index(r)])] -= 1 / counted_;
      multiply_add(V, 1, C, row.data(), f, g.data() + weight);
      multiply_add(1, V, C, row.data(), at(weight), dfeatures.data() + r * C);
    }
    return norm_backward(x, dfeatures, layout_.final_norm(), C, g);
  }

  /// Returns the gradient of x from that of its norm, and adds those of weight and bias.
  Doubles norm_backward(const Doubles& x, const Doubles& dout, const Norm& norm, std::int64_t width,
                        Doubles& g) const {
    const bool layer = norm.kind == NormKind::kLayer;
    Doubles all;
    for (std::size_t row = 0; row < x.size(); row += index(width)) {
      const RmsNormRow forward = normalised(x.data() + row, norm, width);
      Doubles d;
      for (std::int64_t c = 0; c < width; ++c) {
        const double upper = dout[row + index(c)];
        g[index(norm.weight + c)] += upper * forward.normed[index(c)];
        if (layer) g[index(norm.bias + c)] += upper;
        d.push_back(upper * at(norm.weight)[c]);
      }
      Doubles dx = forward.backward(d);
      double mean = 0;
      for (const double v : dx) mean += layer ? v / static_cast<double>(width) : 0;
      for (const double v : dx) all.push_back(v - mean);
    }
    return all;
  }

  /// Returns the gradient of x[R, in] from dout[R, out], and adds those of weight and bias.
  Doubles linear_backward(const Doubles& x, const Doubles& dout, const Linear& linear,
                          Doubles& g) const {
    const std::int64_t in = linear.inputs, out = linear.outputs;
    for (std::int64_t i = 0; linear.bias != kAbsent && i < R * out; ++i) {
      g[index(linear.bias + i % out)] += dout[index(i)];
    }
    if (linear.order == WeightOrder::kInOut) {
      const Doubles across = transposed(R, in, x.data());
      multiply_add(in, R, out, across.data(), dout.data(), g.data() + linear.weight);
    } else {
      const Doubles across = transposed(R, out, dout.data());
      multiply_add(out, R, in, across.data(), x.data(), g.data() + linear.weight);
    }
    const Doubles back = transposed(in, out, matrix(linear).data());
    Doubles dx(x.size());
    multiply_add(R, out, in, dout.data(), back.data(), dx.data());
    return dx;
  }

  Doubles attend_backward(std::int64_t layer, const Doubles& qkv, const Doubles& dout) const {
    Doubles dqkv(qkv.size());
    for (std::int64_t r = 0; r < R; ++r) {
      for (std::int64_t h = 0; h < H; ++h) {
        const Doubles weights = attention_weights(layer, qkv, r, h);
        const double* d = dout.data() + r * Q + h * D;
        Doubles dweights;
        double mean = 0;
        for (std::size_t s = 0; s < weights.size(); ++s) {
          const std::int64_t at_v = row_of(r, s) + key_column(h) + K;
          const double kept = dropout_.of_weight(layer, r, s, h);
          double sum = 0;
          for (std::int64_t i = 0; i < D; ++i) {
            sum += kept * d[i] * qkv[index(at_v + i)];
            dqkv[index(at_v + i)] += kept * weights[s] * d[i];
          }
          dweights.push_back(sum);
          mean += weights[s] * sum;
        }
        for (std::size_t s = 0; s < weights.size(); ++s) {
          const double dscore = weights[s] * (dweights[s] - mean) * score_scale(layer);
          const std::int64_t q = r * W + h * D, key = row_of(r, s) + key_column(h);
          for (std::int64_t i = 0; i < D; ++i) {
            dqkv[index(q + i)] += dscore * qkv[index(key + i)];
            dqkv[index(key + i)] += dscore * qkv[index(q + i)];
          }
        }
      }
    }
    return dqkv;
  }
  /// Returns where row s of the sequence of row r starts in qkv.
  std::int64_t row_of(std::int64_t r, std::size_t s) const {
    return (r - r % T + static_cast<std::int64_t>(s)) * W;
  }

  /// Goes back through make_heads, which made heads of raw[R, Q + 2K].
  Doubles heads_backward(const NetworkLayer& o, const Doubles& raw, Doubles dqkv,
                         Doubles& g) const {
    if (layout_.network().position_embedding) return dqkv;
    for (std::int64_t r = 0; r < R; ++r) {
      Doubles opposite = angles(r);
      for (double& angle : opposite) angle = -angle;
      for (std::int64_t column = 0; column < Q + K; column += D) {
        double* const d = dqkv.data() + r * W + column;
        turn_head(opposite, d);
        const Norm* const of_head = norm_of_head(o, column, Q);
        if (of_head == nullptr) continue;
        const double* const x = raw.data() + r * W + column;
        const Doubles dx = norm_backward({x, x + D}, {d, d + D}, *of_head, D, g);
        std::copy(dx.begin(), dx.end(), d);
      }
    }
    return dqkv;
  }

  double activation_slope(double h) const {
    const double t = std::tanh(kGeluSlope * (h + kGeluCubic * h * h * h));
    switch (config_.activation()) {
      case Activation::kGelu:
        return gelu_erf_slope(h);
      case Activation::kRelu:
        return relu_slope(h);
      default:
        return 0.5 * (1 + t) + 0.5 * h * (1 - t * t) * kGeluSlope * (1 + 3 * kGeluCubic * h * h);
    }
  }
  /// Goes back through activate(), which took `hidden`.
  Doubles activate_backward(const Doubles& hidden, const Doubles& dout) const {
    const std::int64_t F = config_.hidden();
    Doubles d(hidden.size());
    for (std::int64_t i = 0; i < R * F; ++i) {
      if (!config_.is_gated()) {
        d[index(i)] = dout[index(i)] * activation_slope(hidden[index(i)]);
        continue;
      }
      const std::int64_t gate = i / F * 2 * F + i % F;
      d[index(gate)] = dout[index(i)] * silu_slope(hidden[index(gate)]) * hidden[index(gate + F)];
      d[index(gate + F)] = dout[index(i)] * silu(hidden[index(gate)]);
    }
    return d;
  }

  /// Turns dx[R, C] from the gradient of a block's output into that of its input.
  void block_backward(std::int64_t b, Doubles& dx, Doubles& g) const {
    const NetworkLayer& o = layout_.layer(b / 2);
    const auto& [qkv, projection, hidden, output] = o.linears;
    const Doubles& x = streams_[index(b)];
    Doubles through, dadded = dx;
    dropout_.drop_added(b, dadded);
    if (b % 2 == 0) {
      const Doubles normed = norm(x, o.norm1, C), raw = linear(normed, qkv);
      const Doubles heads = make_heads(o, raw);
      const Doubles dmixed = linear_backward(attend(b / 2, heads), dadded, projection, g);
      const Doubles draw = heads_backward(o, raw, attend_backward(b / 2, heads, dmixed), g);
      through = norm_backward(x, linear_backward(normed, draw, qkv, g), o.norm1, C, g);
    } else {
      const Doubles normed = norm(x, o.norm2, C), before = linear(normed, hidden);
      const Doubles dactivated = linear_backward(activate(before), dadded, output, g);
      const Doubles dhidden = activate_backward(before, dactivated);
      through = norm_backward(x, linear_backward(normed, dhidden, hidden, g), o.norm2, C, g);
    }
    for (std::size_t i = 0; i < dx.size(); ++i) dx[i] += through[i];
  }
};

}  // namespace cllm
