// LayerNorm normalises rows; here it is forward and backward (Ba, Kiros and Hinton 2016).
#pragma once

#include "cpu/kernels/loops.h"

namespace cllm {
namespace {

// Rows are normalised in groups of this size, for which gamma and beta are loaded once. On Zen 4
// one row at a time takes 10 % longer, and so do four, which are more than L1 holds. Backward, two
// rows together are slower than one.
constexpr int kRowsTogether = 2;

/// Returns (x - mean) * rstd. Both directions must give the same bits, because backward recomputes
/// the output.
inline V normalise(V x, V mean, V rstd) { return mul(sub(x, mean), rstd); }

/// Sums over a row: sums[s] comes from sum = more(sum, s, i, count), each in the order of lane_sum.
template <int kSums, class More>
inline void row_sums(std::int64_t n, float (&sums)[kSums], More more) {
  V part[kSums][4];
  for (auto& parts : part) {
    for (V& one : parts) one = zero();
  }
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int s = 0; s < kSums; ++s) {
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) part[s][k] = more(part[s][k], s, i + k * kLanes, kLanes);
    }
  }
  for (; i + kLanes <= n; i += kLanes) {
    for (int s = 0; s < kSums; ++s) part[s][0] = more(part[s][0], s, i, kLanes);
  }
  for (int s = 0; s < kSums; ++s) {
    if (i < n) part[s][0] = more(part[s][0], s, i, static_cast<int>(n - i));
    sums[s] = reduce_add(add(add(part[s][0], part[s][1]), add(part[s][2], part[s][3])));
  }
}

/// Returns the sum of (x - mean)^2. If it were inlined, the pass that seldom needs it would be 7 %
/// slower.
[[gnu::noinline]] float squared_differences(std::int64_t width, const float* x, V mean) {
  float sums[1];
  row_sums(width, sums, [&](V sum, int, std::int64_t i, int count) {
    const V all = sub(load_some(x + i, count), mean);
    const V d = count == kLanes ? all : first_lanes(all, count, zero());
    return fma(d, d, sum);
  });
  return sums[0];
}

/// Computes the mean of a row and 1 / sqrt(variance + epsilon). Where the mean is at most a quarter
/// of the standard deviation (all but one row of 7000 in training), the variance is E[x^2] -
/// mean^2, in one pass for both; this magnifies errors by little more than a tenth. Elsewhere it
/// could lose all digits, so the variance is the mean of squared differences, in a second pass.
/// After the sums all arithmetic is in double, so that rstd is off by 0.54 units of 2^-24 (root
/// mean square, AVX-512); with a second pass for every row, in floats, it was off by 0.73.
inline void row_statistics(std::int64_t width, float epsilon, const float* x, float* mean,
                           float* rstd) {
  constexpr double kOverflow = 3e38;
  const double share = 1 / static_cast<double>(width);  // what follows waits for each division
  float sums[2];
  row_sums(width, sums, [&](V sum, int s, std::int64_t i, int count) {
    const V v = load_some(x + i, count);
    return s == 0 ? add(sum, v) : fma(v, v, sum);
  });
  const double average = share * sums[0];
  double variance = share * sums[1] - average * average;
  *mean = static_cast<float>(average);
  if (!(16 * average * average <= variance && variance < kOverflow)) {
    variance = share * squared_differences(width, x, set1(*mean));
  }
  *rstd = static_cast<float>(1 / __builtin_sqrt(variance + static_cast<double>(epsilon)));
}

/// Does kRows rows of layernorm_forward whose statistics are known.
template <int kRows, class T>
void normalise_rows(std::int64_t width, const float* x, const float* gamma, const float* beta,
                    T* out, const float* mean, const float* rstd) {
  V average[kRows], scale[kRows];
  for (int r = 0; r < kRows; ++r) {
    average[r] = set1(mean[r]);
    scale[r] = set1(rstd[r]);
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

/// x and out are [rows, width]; gamma and beta are [width]; mean and rstd are [rows].
template <class T>
void layernorm_forward(std::int64_t rows, std::int64_t width, float epsilon, const float* x,
                       const float* gamma, const float* beta, T* out, float* mean, float* rstd) {
  std::int64_t r = 0;
  for (; r + kRowsTogether <= rows; r += kRowsTogether) {
#pragma GCC unroll 2
    for (int k = 0; k < kRowsTogether; ++k) {
      row_statistics(width, epsilon, x + (r + k) * width, mean + r + k, rstd + r + k);
    }
    normalise_rows<kRowsTogether>(width, x + r * width, gamma, beta, out + r * width, mean + r,
                                  rstd + r);
  }
  for (; r < rows; ++r) {
    row_statistics(width, epsilon, x + r * width, mean + r, rstd + r);
    normalise_rows<1>(width, x + r * width, gamma, beta, out + r * width, mean + r, rstd + r);
  }
}

/// x, dout, residual (or null), dx, dx_copy (or null) and normed (or null) are [rows, width];
/// gamma, beta, dgamma and dbeta are [width]; mean and rstd are [rows]. With n = normalise(x) and
/// d = dout * gamma, it sets dx = rstd * (d - mean(d) - n * mean(d * n)).
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
    // One pass does everything that needs the row as it is: dx may overwrite dout in the next.
    V sum_d = zero(), sum_dn = zero();
    for_vectors(width, [&](std::int64_t i, int count) {
      // Lanes past the end have dout = 0 and so add nothing, unless mean * rstd overflows; then
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
