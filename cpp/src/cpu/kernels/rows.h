// These are passes over the rows of a matrix: bias, residual, sums over rows.
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
