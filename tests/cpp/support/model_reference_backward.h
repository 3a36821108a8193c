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
      g[index(layout_.position_embedding() + r % T * C + c)] += dx[index(i)];
    }
    return g;
  }

 private:
  Doubles head_backward(Doubles& g) const {
    const Doubles& x = streams_.back();
    const Doubles features = norm(x, layout_.final_norm().weight, layout_.final_norm().bias);
    const double* tokens = at(layout_.token_embedding());
    const Doubles across = transposed(V, C, tokens);
    double* dtokens = g.data() + layout_.token_embedding();
    Doubles dfeatures(x.size());
    for (std::int64_t r = 0; r < R; ++r) {
      const double* f = features.data() + r * C;
      Doubles row(index(V));
      multiply_add(1, C, V, f, across.data(), row.data());
      double most = -INFINITY, sum = 0;
      for (const double z : row) most = std::max(most, z);
      for (double& z : row) sum += z = std::exp(z - most);
      for (double& z : row) z /= sum * static_cast<double>(R);
      row[index(batch_.targets[index(r)])] -= 1 / static_cast<double>(R);
      multiply_add(V, 1, C, row.data(), f, dtokens);
      multiply_add(1, V, C, row.data(), tokens, dfeatures.data() + r * C);
    }
    return norm_backward(x, dfeatures, layout_.final_norm().weight, layout_.final_norm().bias, g);
  }

  /// Returns the gradient of x[R, C] from that of its norm, and adds those of weight and bias.
  Doubles norm_backward(const Doubles& x, const Doubles& dout, std::int64_t weight,
                        std::int64_t bias, Doubles& g) const {
    Doubles dx(x.size());
    for (std::int64_t r = 0; r < R; ++r) {
      const auto [mean, rstd] = moments(x.data() + r * C);
      double sum = 0, product = 0;
      for (std::int64_t c = 0; c < C; ++c) {
        const double d = dout[index(r * C + c)], z = (x[index(r * C + c)] - mean) * rstd;
        g[index(weight + c)] += d * z;
        g[index(bias + c)] += d;
        sum += d * at(weight)[c] / static_cast<double>(C);
        product += d * at(weight)[c] * z / static_cast<double>(C);
      }
      for (std::int64_t c = 0; c < C; ++c) {
        const double d = dout[index(r * C + c)], z = (x[index(r * C + c)] - mean) * rstd;
        dx[index(r * C + c)] = rstd * (d * at(weight)[c] - sum - z * product);
      }
    }
    return dx;
  }

  /// Returns the gradient of x[R, in] from dout[R, out], and adds those of weight and bias.
  Doubles linear_backward(const Doubles& x, const Doubles& dout, std::int64_t in,
                          std::int64_t weight, std::int64_t out, std::int64_t bias,
                          Doubles& g) const {
    for (std::int64_t i = 0; i < R * out; ++i) g[index(bias + i % out)] += dout[index(i)];
    const Doubles xt = transposed(R, in, x.data()), wt = transposed(in, out, at(weight));
    multiply_add(in, R, out, xt.data(), dout.data(), g.data() + weight);
    Doubles dx(x.size());
    multiply_add(R, out, in, dout.data(), wt.data(), dx.data());
    return dx;
  }

  Doubles attend_backward(std::int64_t layer, const Doubles& qkv, const Doubles& dout) const {
    const std::int64_t D = C / H;
    const double scale = 1 / std::sqrt(static_cast<double>(D));
    Doubles dqkv(qkv.size());
    for (std::int64_t r = 0; r < R; ++r) {
      for (std::int64_t h = 0; h < H; ++h) {
        const Doubles weights = attention_weights(qkv, r, h);
        const double* d = dout.data() + r * C + h * D;
        Doubles dweights;
        double mean = 0;
        for (std::size_t s = 0; s < weights.size(); ++s) {
          const std::int64_t at_v = column(r, s) + 2 * C + h * D;
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
          const double dscore = weights[s] * (dweights[s] - mean) * scale;
          const std::int64_t q = r * 3 * C + h * D, key = column(r, s) + C + h * D;
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
  std::int64_t column(std::int64_t r, std::size_t s) const {
    return (r - r % T + static_cast<std::int64_t>(s)) * 3 * C;
  }

  /// Turns dx[R, C] from the gradient of a block's output into that of its input.
  void block_backward(std::int64_t b, Doubles& dx, Doubles& g) const {
    const NetworkLayer& o = layout_.layer(b / 2);
    const Doubles& x = streams_[index(b)];
    Doubles through, dadded = dx;
    dropout_.drop_added(b, dadded);
    if (b % 2 == 0) {
      const Doubles normed = norm(x, o.norm1.weight, o.norm1.bias);
      const Doubles qkv = linear(normed, C, o.linear(LinearSite::kQkv).weight, 3 * C,
                                 o.linear(LinearSite::kQkv).bias);
      const Doubles dmixed =
          linear_backward(attend(b / 2, qkv), dadded, C, o.linear(LinearSite::kProjection).weight,
                          C, o.linear(LinearSite::kProjection).bias, g);
      const Doubles dnormed = linear_backward(normed, attend_backward(b / 2, qkv, dmixed), C,
                                              o.linear(LinearSite::kQkv).weight, 3 * C,
                                              o.linear(LinearSite::kQkv).bias, g);
      through = norm_backward(x, dnormed, o.norm1.weight, o.norm1.bias, g);
    } else {
      const Doubles normed = norm(x, o.norm2.weight, o.norm2.bias);
      const Doubles hidden = linear(normed, C, o.linear(LinearSite::kHidden).weight, 4 * C,
                                    o.linear(LinearSite::kHidden).bias);
      Doubles gelu = hidden;
      for (double& h : gelu) h = reference_gelu(h);
      Doubles dhidden = linear_backward(gelu, dadded, 4 * C, o.linear(LinearSite::kOutput).weight,
                                        C, o.linear(LinearSite::kOutput).bias, g);
      for (std::size_t i = 0; i < hidden.size(); ++i) {
        const double h = hidden[i];
        const double t = std::tanh(kGeluSlope * (h + kGeluCubic * h * h * h));
        dhidden[i] *=
            0.5 * (1 + t) + 0.5 * h * (1 - t * t) * kGeluSlope * (1 + 3 * kGeluCubic * h * h);
      }
      const Doubles dnormed =
          linear_backward(normed, dhidden, C, o.linear(LinearSite::kHidden).weight, 4 * C,
                          o.linear(LinearSite::kHidden).bias, g);
      through = norm_backward(x, dnormed, o.norm2.weight, o.norm2.bias, g);
    }
    for (std::size_t i = 0; i < dx.size(); ++i) dx[i] += through[i];
  }
};

}  // namespace cllm
