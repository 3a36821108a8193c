// Rows of a matrix are dropped forward on their way into a sum, and backward on their way out.
#pragma once

#include "base/matrix_view.h"
#include "cpu/kernels/keep_bits.h"
#include "cpu/kernels/loops.h"

namespace cllm {
namespace {

/// Calls body(i, count, bits) for the elements [i, i + count) of the `columns` from `first` on of a
/// row, in order; bit c of bits says that element i + c is kept.
template <class Body>
inline void for_kept(std::int64_t columns, const Dropout& dropout, std::int64_t row,
                     std::int64_t first, Body body) {
  for (std::int64_t i = 0; i < columns;) {
    const std::int64_t at = first + i, inside = at % kKeepColumns;
    const std::int64_t rest = kKeepColumns - inside;
    const std::int64_t end = columns - i < rest ? columns : i + rest;
    std::uint64_t bits = keep_bits(dropout, row, at / kKeepColumns) >> inside;
    for (; i + kLanes <= end; i += kLanes, bits >>= kLanes) body(i, kLanes, bits);
    if (i < end) body(i, static_cast<int>(end - i), bits);
    i = end;
  }
}

/// x and residual are [rows, columns]; bias is [columns].
inline void bias_dropout_residual(std::int64_t rows, std::int64_t columns, const float* bias,
                                  const Dropout& dropout, std::int64_t first_row,
                                  std::int64_t first_column, MatrixView<const float> residual,
                                  MatrixView<float> x) {
  const V scale = set1(dropout.scale);
  for (std::int64_t r = 0; r < rows; ++r) {
    float* const to = x.row(r);
    const float* const more = residual.row(r);
    for_kept(columns, dropout, first_row + r, first_column,
             [&](std::int64_t i, int count, std::uint64_t bits) {
               const V biased = add(load_some(to + i, count), load_some(bias + i, count));
               const V kept = keep_lanes(mul(biased, scale), bits);
               store_some(to + i, add(kept, load_some(more + i, count)), count);
             });
  }
}

/// x and out are [rows, columns]; sums is [columns] or null, each a plain chain of adds as in
/// column_sums.
template <class T>
void dropout_rows(std::int64_t rows, std::int64_t columns, const float* x, const Dropout& dropout,
                  std::int64_t first_row, T* out, float* sums, bool accumulate) {
  const V scale = set1(dropout.scale);
  if (sums != nullptr && !accumulate) {
    for_vectors(columns, [&](std::int64_t i, int count) { store_some(sums + i, zero(), count); });
  }
  for (std::int64_t r = 0; r < rows; ++r, x += columns, out += columns) {
    for_kept(columns, dropout, first_row + r, 0,
             [&](std::int64_t i, int count, std::uint64_t bits) {
               const V kept = keep_lanes(mul(load_some(x + i, count), scale), bits);
               store_some(out + i, kept, count);
               if (sums == nullptr) return;
               store_some(sums + i, add(load_some(sums + i, count), kept), count);
             });
  }
}

}  // namespace
}  // namespace cllm
