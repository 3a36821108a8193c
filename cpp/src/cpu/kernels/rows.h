// These are passes over the rows of a matrix: bias, residual, GELU, sums over rows.
#pragma once

#include "base/matrix_view.h"
#include "cpu/kernels/loops.h"

namespace cllm {
namespace {

/// x and out are [rows, columns]; bias is [columns].
template <class T>
void bias_add(std::int64_t rows, std::int64_t columns, const float* bias, MatrixView<const float> x,
              MatrixView<T> out) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* const from = x.row(r);
    T* const to = out.row(r);
    for_vectors(columns, [&](std::int64_t i, int count) {
      store_some(to + i, add(load_some(from + i, count), load_some(bias + i, count)), count);
    });
  }
}

/// x and residual are [rows, columns]; bias is [columns].
inline void bias_residual(std::int64_t rows, std::int64_t columns, const float* bias,
                          MatrixView<const float> residual, MatrixView<float> x) {
  for (std::int64_t r = 0; r < rows; ++r) {
    float* const to = x.row(r);
    const float* const more = residual.row(r);
    for_vectors(columns, [&](std::int64_t i, int count) {
      const V biased = add(load_some(to + i, count), load_some(bias + i, count));
      store_some(to + i, add(biased, load_some(more + i, count)), count);
    });
  }
}

// GELU's tanh form is x * sigmoid(z) with z = 2 sqrt(2 / pi) (x + 0.044715 x^3) = x (a + b x^2).
// That takes one division instead of tanh's, and nothing cancels where x is far below 0. The
// exponential is to base 2, with log2 e in the factors, so that reducing its argument is one exact
// subtraction; |z| magnifies the rounding of the factors as much as the rounding of z itself.
constexpr float kGeluA = 1.5957691216f, kGelu2A = 2.3022081985f;
constexpr float kGeluB = 0.0713548163f, kGelu2B = 0.1029432396f;

/// Returns 2^r for |r| <= 1/2, for results that are stored as floats: relative error 1.7e-7.
inline V power_of_two(const float*, V r) {
  V q = fma(set1(0x1.5bb9bep-10f), r, set1(0x1.3ceadap-7f));
  q = fma(q, r, set1(0x1.c6b754p-5f));
  q = fma(q, r, set1(0x1.ebf9bap-3f));
  q = fma(q, r, set1(0x1.62e42ap-1f));
  return fma(q, r, set1(1.0f));
}

/// Results stored as bf16 are off by up to 2^-8 of their value, so degree 4 is enough: 2.8e-6.
inline V power_of_two(const Bf16*, V r) {
  V q = fma(set1(0x1.3a02ccp-7f), r, set1(0x1.c9fc46p-5f));
  q = fma(q, r, set1(0x1.ec0378p-3f));
  q = fma(q, r, set1(0x1.62e12cp-1f));
  return fma(q, r, set1(1.0f));
}

/// Returns sigmoid(z); the type of `stored` says how exact the result must be. It is a true
/// division: rcp14 with a Newton step was 15 % slower on Zen 5, and no division at all would be at
/// most 11 % faster on Zen 4.
template <class T>
V gelu_gate(const T* stored, V x, V square) {
  const V z = mul(x, fma(square, set1(-kGelu2B), set1(-kGelu2A)));
  const V clamped = max(set1(-126.0f), min(set1(128.0f), z));  // in this order a NaN passes through
  const V n = round_nearest(clamped);
  const V power = scale2(power_of_two(stored, sub(clamped, n)), n);
  return div(set1(1.0f), add(set1(1.0f), power));
}

/// x, g and slope (unless its data is null) are [rows, columns]; bias is [columns]. With s =
/// sigmoid(z): gelu' = s + h s (1 - s) z' = s + gelu (1 - s) (a + 3 b h^2). The gate is known here,
/// so the derivative costs a quarter of making the gate again in backward.
template <class T>
void bias_gelu(std::int64_t rows, std::int64_t columns, const float* bias,
               MatrixView<const float> x, MatrixView<T> g, MatrixView<T> slope) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* const from = x.row(r);
    T* const to = g.row(r);
    for_vectors(columns, [&](std::int64_t i, int count) {
      const V h = add(load_some(from + i, count), load_some(bias + i, count));
      const V square = mul(h, h);
      const V gate = gelu_gate(to, h, square);
      const V value = mul(h, gate);
      store_some(to + i, value, count);
      if (slope.data == nullptr) return;
      const V inner = fma(square, set1(3.0f * kGeluB), set1(kGeluA));
      const V derivative = fma(mul(value, sub(set1(1.0f), gate)), inner, gate);
      store_some(slope.row(r) + i, derivative, count);
    });
  }
}

/// Does gelu_backward of kRows rows, added to the sums of the rows above.
template <int kRows, class T>
void gelu_backward_rows(std::int64_t columns, MatrixView<const T> slope, MatrixView<const float> dg,
                        MatrixView<T> dh, float* sums) {
  for_vectors(columns, [&](std::int64_t i, int count) {
    V sum = load_some(sums + i, count);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const V d = mul(load_some(dg.row(r) + i, count), load_some(slope.row(r) + i, count));
      store_some(dh.row(r) + i, d, count);
      sum = add(sum, d);
    }
    store_some(sums + i, sum, count);
  });
}

/// slope, dg and dh are [rows, columns]; sums is [columns]. Each pass does four rows, as in
/// column_sums.
template <class T>
void gelu_backward(std::int64_t rows, std::int64_t columns, MatrixView<const T> slope,
                   MatrixView<const float> dg, MatrixView<T> dh, float* sums) {
  for_vectors(columns, [&](std::int64_t i, int count) { store_some(sums + i, zero(), count); });
  std::int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    gelu_backward_rows<4>(columns, slope.at(r, 0), dg.at(r, 0), dh.at(r, 0), sums);
  }
  for (; r < rows; ++r) {
    gelu_backward_rows<1>(columns, slope.at(r, 0), dg.at(r, 0), dh.at(r, 0), sums);
  }
}

// This many columns are summed together: L1 holds their sums, four rows and the next four.
constexpr std::int64_t kColumnsSummed = 1024;

/// Adds to out the sums over rows of at most kColumnsSummed columns. Each pass does four rows: the
/// running sums are loaded and stored a quarter as often, and x is still read as it lies in memory.
/// Rows of bf16 are short and soon done, so the next ones are fetched meanwhile: 16 MB take 27
/// instead of 36 us a million numbers. For rows of floats the hardware does that.
template <class T>
void add_columns(std::int64_t rows, std::int64_t columns, MatrixView<const T> x, float* out) {
  std::int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const MatrixView<const T> four = x.at(r, 0);
    for_vectors(columns, [&](std::int64_t i, int count) {
      V sum = load_some(out + i, count);
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        if (sizeof(T) < sizeof(float)) __builtin_prefetch(four.row(4 + k) + i);
        sum = add(sum, load_some(four.row(k) + i, count));
      }
      store_some(out + i, sum, count);
    });
  }
  for (; r < rows; ++r) {
    const T* const row = x.row(r);
    for_vectors(columns, [&](std::int64_t i, int count) {
      store_some(out + i, add(load_some(out + i, count), load_some(row + i, count)), count);
    });
  }
}

/// x is [rows, columns]; out is [columns]. Each column is a plain chain of adds
/// that starts at out (or 0).
template <class T>
void column_sums(std::int64_t rows, std::int64_t columns, MatrixView<const T> x, float* out,
                 bool accumulate) {
  if (!accumulate) {
    for_vectors(columns, [&](std::int64_t i, int count) { store_some(out + i, zero(), count); });
  }
  for (std::int64_t i = 0; i < columns; i += kColumnsSummed) {
    const std::int64_t some = columns - i < kColumnsSummed ? columns - i : kColumnsSummed;
    add_columns(rows, some, x.at(0, i), out + i);
  }
}

}  // namespace
}  // namespace cllm
