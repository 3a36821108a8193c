// LayerNorm over rows, forward and backward (Ba, Kiros and Hinton 2016).
#pragma once

#include "cpu/kernels/loops.h"

namespace cllm {
namespace {

constexpr float kLayerNormEpsilon = 1e-5f;

/// (x - mean) * rstd: both directions must give the same bits, backward recomputes the output.
inline V normalise(V x, V mean, V rstd) { return mul(sub(x, mean), rstd); }

/// x, out: [rows, width]; gamma, beta: [width]; mean, rstd: [rows]. The variance is the mean of
/// squared differences, a second pass over a row in L1: E[x^2] - mean^2 loses all digits when the
/// mean is large.
template <class T>
void layernorm_forward(std::int64_t rows, std::int64_t width, const float* x, const float* gamma,
                       const float* beta, T* out, float* mean, float* rstd) {
  const V size = set1(static_cast<float>(width));
  for (std::int64_t r = 0; r < rows; ++r, x += width, out += width) {
    const V average = div(
        set1(lane_sum(width, [&](std::int64_t i, int count) { return load_some(x + i, count); })),
        size);
    const float squares = lane_sum(width, [&](std::int64_t i, int count) {
      const V d = first_lanes(sub(load_some(x + i, count), average), count, zero());
      return mul(d, d);
    });
    const V variance = div(set1(squares), size);
    const V scale = div(set1(1.0f), sqrt_(add(variance, set1(kLayerNormEpsilon))));
    for_vectors(width, [&](std::int64_t i, int count) {
      const V n = normalise(load_some(x + i, count), average, scale);
      store_some(out + i, fma(n, load_some(gamma + i, count), load_some(beta + i, count)), count);
    });
    store_partial(mean + r, average, 1);
    store_partial(rstd + r, scale, 1);
  }
}

/// x, dout, residual (or null), dx, dx_copy (or null), normed (or null): [rows, width]; gamma,
/// beta, dgamma, dbeta: [width]; mean, rstd: [rows]. With n = normalise(x) and d = dout * gamma: dx
/// = rstd * (d - mean(d) - n * mean(d * n)).
template <class T>
void layernorm_backward(std::int64_t rows, std::int64_t width, const float* x, const float* dout,
                        const float* gamma, const float* beta, const float* mean, const float* rstd,
                        const float* residual, float* dx, T* dx_copy, T* normed, float* dgamma,
                        float* dbeta) {
  for_vectors(width, [&](std::int64_t i, int count) {
    store_some(dgamma + i, zero(), count);
    store_some(dbeta + i, zero(), count);
  });
  const V size = set1(static_cast<float>(width));
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t row = r * width;
    const V average = set1(mean[r]);
    const V scale = set1(rstd[r]);
    // One pass for everything that needs the row as it is: dx may overwrite dout in the next.
    V sum_d = zero(), sum_dn = zero();
    for_vectors(width, [&](std::int64_t i, int count) {
      // Lanes past the end carry dout = 0 and so add nothing, unless mean * rstd overflows: then
      // every lane is NaN anyway.
      const V n = normalise(load_some(x + row + i, count), average, scale);
      const V upper = load_some(dout + row + i, count);
      const V d = mul(upper, load_some(gamma + i, count));
      sum_d = add(sum_d, d);
      sum_dn = fma(d, n, sum_dn);
      store_some(dgamma + i, fma(upper, n, load_some(dgamma + i, count)), count);
      store_some(dbeta + i, add(load_some(dbeta + i, count), upper), count);
    });
    const V mean_d = div(set1(reduce_add(sum_d)), size);
    const V mean_dn = div(set1(reduce_add(sum_dn)), size);
    for_vectors(width, [&](std::int64_t i, int count) {
      const V n = normalise(load_some(x + row + i, count), average, scale);
      const V g = load_some(gamma + i, count);
      const V d = sub(mul(load_some(dout + row + i, count), g), mean_d);
      V gradient = mul(scale, fnma(n, mean_dn, d));
      if (residual != nullptr) gradient = add(load_some(residual + row + i, count), gradient);
      store_some(dx + row + i, gradient, count);
      if (dx_copy != nullptr) store_some(dx_copy + row + i, gradient, count);
      if (normed != nullptr) {
        store_some(normed + row + i, fma(n, g, load_some(beta + i, count)), count);
      }
    });
  }
}

}  // namespace
}  // namespace cllm
