// RMS norm divides rows by the root of their mean square; here it is forward and backward (Zhang
// and Sennrich 2019).
#pragma once

#include "base/matrix_view.h"
#include "cpu/kernels/layernorm.h"

namespace cllm {
namespace {

/// Returns 1 / sqrt(mean of x^2 + epsilon). After the sum all arithmetic is in double, as in
/// row_statistics. Where the sum overflows, it is 0.
inline float reciprocal_root(std::int64_t width, const float* x, float epsilon) {
  float sums[1];
  row_sums(width, sums, [&](V sum, int, std::int64_t i, int count) {
    const V v = load_some(x + i, count);
    return fma(v, v, sum);
  });
  const double mean = static_cast<double>(sums[0]) / static_cast<double>(width);
  return static_cast<float>(1 / __builtin_sqrt(mean + static_cast<double>(epsilon)));
}

/// Does kRows rows of rmsnorm_forward whose factors are known.
template <int kRows, class T>
void scale_rows(std::int64_t width, MatrixView<const float> x, const float* weight,
                MatrixView<T> out, const float* rstd) {
  V scale[kRows];
  for (int r = 0; r < kRows; ++r) scale[r] = set1(rstd[r]);
  for_vectors(width, [&](std::int64_t i, int count) {
    const V w = load_some(weight + i, count);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const V n = mul(load_some(x.row(r) + i, count), scale[r]);
      store_some(out.row(r) + i, mul(n, w), count);
    }
  });
}

/// x and out are [rows, width]; weight is [width]; rstd is [rows].
template <class T>
void rmsnorm_forward(std::int64_t rows, std::int64_t width, float epsilon,
                     MatrixView<const float> x, const float* weight, MatrixView<T> out,
                     float* rstd) {
  std::int64_t r = 0;
  for (; r + kRowsTogether <= rows; r += kRowsTogether) {
#pragma GCC unroll 2
    for (int k = 0; k < kRowsTogether; ++k) {
      rstd[r + k] = reciprocal_root(width, x.row(r + k), epsilon);
    }
    scale_rows<kRowsTogether>(width, x.at(r, 0), weight, out.at(r, 0), rstd + r);
  }
  for (; r < rows; ++r) {
    rstd[r] = reciprocal_root(width, x.row(r), epsilon);
    scale_rows<1>(width, x.at(r, 0), weight, out.at(r, 0), rstd + r);
  }
}

/// x, dout, residual (or null), dx, dx_copy (or null) and normed (or null) are [rows, width];
/// weight and dweight are [width]; rstd is [rows]. With n = x * rstd and d = dout * weight, it sets
/// dx = rstd * (d - n * mean(d * n)).
template <class T>
void rmsnorm_backward(std::int64_t rows, std::int64_t width, MatrixView<const float> x,
                      MatrixView<const float> dout, const float* weight, const float* rstd,
                      MatrixView<const float> residual, MatrixView<float> dx, MatrixView<T> dx_copy,
                      MatrixView<T> normed, float* dweight, bool accumulate) {
  if (!accumulate) {
    for_vectors(width, [&](std::int64_t i, int count) { store_some(dweight + i, zero(), count); });
  }
  const V size = set1(static_cast<float>(width));
  for (std::int64_t r = 0; r < rows; ++r) {
    const float *const from = x.row(r), *const above = dout.row(r);
    const V scale = set1(rstd[r]);
    // One pass does everything that needs the row as it is: dx may overwrite dout in the next.
    V sum_dn = zero();
    for_vectors(width, [&](std::int64_t i, int count) {
      const V n = mul(load_some(from + i, count), scale);
      const V upper = load_some(above + i, count);
      sum_dn = fma(mul(upper, load_some(weight + i, count)), n, sum_dn);
      store_some(dweight + i, fma(upper, n, load_some(dweight + i, count)), count);
    });
    const V mean_dn = div(set1(reduce_add(sum_dn)), size);
    for_vectors(width, [&](std::int64_t i, int count) {
      const V n = mul(load_some(from + i, count), scale);
      const V w = load_some(weight + i, count);
      const V d = mul(load_some(above + i, count), w);
      V gradient = mul(scale, fnma(n, mean_dn, d));
      if (residual.data != nullptr) gradient = add(load_some(residual.row(r) + i, count), gradient);
      store_some(dx.row(r) + i, gradient, count);
      if (dx_copy.data != nullptr) store_some(dx_copy.row(r) + i, gradient, count);
      if (normed.data != nullptr) store_some(normed.row(r) + i, mul(n, w), count);
    });
  }
}

}  // namespace
}  // namespace cllm
