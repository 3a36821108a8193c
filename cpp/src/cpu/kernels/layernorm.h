// LayerNorm over rows, forward and backward (Ba, Kiros and Hinton 2016).
#pragma once

#include "cpu/kernels/loops.h"

namespace cllm {
namespace {

constexpr float kLayerNormEpsilon = 1e-5f;

// Rows that go forward together: the sums of one fill the time that those of another take. On Zen 4
// four are 10 to 15 % slower than two. Backward two are slower than one: more than L1 holds.
constexpr int kRowsTogether = 2;

/// (x - mean) * rstd: both directions must give the same bits, backward recomputes the output.
inline V normalise(V x, V mean, V rstd) { return mul(sub(x, mean), rstd); }

/// Sums over each of kRows rows: sums[r] of sum = more(sum, r, i, count), in the order of lane_sum.
/// The chains of one row fill the time that another's take.
template <int kRows, class More>
inline void row_sums(std::int64_t n, float (&sums)[kRows], More more) {
  V s[kRows][4];
  for (auto& row : s) {
    for (V& part : row) part = zero();
  }
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) s[r][k] = more(s[r][k], r, i + k * kLanes, kLanes);
    }
  }
  for (; i + kLanes <= n; i += kLanes) {
    for (int r = 0; r < kRows; ++r) s[r][0] = more(s[r][0], r, i, kLanes);
  }
  for (int r = 0; r < kRows; ++r) {
    if (i < n) s[r][0] = more(s[r][0], r, i, static_cast<int>(n - i));
    sums[r] = reduce_add(add(add(s[r][0], s[r][1]), add(s[r][2], s[r][3])));
  }
}

/// layernorm_forward of kRows rows.
template <int kRows, class T>
void normalise_rows(std::int64_t width, const float* x, const float* gamma, const float* beta,
                    T* out, float* mean, float* rstd) {
  const V size = set1(static_cast<float>(width));
  float sums[kRows];
  V average[kRows], scale[kRows];
  row_sums<kRows>(width, sums, [&](V sum, int r, std::int64_t i, int count) {
    return add(sum, load_some(x + r * width + i, count));
  });
  for (int r = 0; r < kRows; ++r) average[r] = div(set1(sums[r]), size);
  row_sums<kRows>(width, sums, [&](V sum, int r, std::int64_t i, int count) {
    __builtin_prefetch(x + (r + kRows) * width + i);  // of the rows that come next
    const V all = sub(load_some(x + r * width + i, count), average[r]);
    const V d = count == kLanes ? all : first_lanes(all, count, zero());
    return fma(d, d, sum);
  });
  for (int r = 0; r < kRows; ++r) {
    const V variance = div(set1(sums[r]), size);
    scale[r] = div(set1(1.0f), sqrt_(add(variance, set1(kLayerNormEpsilon))));
    store_partial(mean + r, average[r], 1);
    store_partial(rstd + r, scale[r], 1);
  }
  for_vectors(width, [&](std::int64_t i, int count) {
    const V g = load_some(gamma + i, count), b = load_some(beta + i, count);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const V n = normalise(load_some(x + r * width + i, count), average[r], scale[r]);
      store_some(out + r * width + i, fma(n, g, b), count);
    }
  });
}

/// x, out: [rows, width]; gamma, beta: [width]; mean, rstd: [rows]. The variance is the mean of
/// squared differences, a second pass over rows in L1: E[x^2] - mean^2 loses all digits when the
/// mean is large.
template <class T>
void layernorm_forward(std::int64_t rows, std::int64_t width, const float* x, const float* gamma,
                       const float* beta, T* out, float* mean, float* rstd) {
  std::int64_t r = 0;
  for (; r + kRowsTogether <= rows; r += kRowsTogether) {
    normalise_rows<kRowsTogether>(width, x + r * width, gamma, beta, out + r * width, mean + r,
                                  rstd + r);
  }
  for (; r < rows; ++r) {
    normalise_rows<1>(width, x + r * width, gamma, beta, out + r * width, mean + r, rstd + r);
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
