// These products have at most kMicroRows rows and a transposed B, as the logits of generation do. B
// is used once, so packing it would cost more than multiplying. The chains are those of gemm.h.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "cpu/kernel_table.h"
#include "cpu/kernels/micro.h"
#include "cpu/kernels/transpose.h"
#include "cpu/kernels/vec.h"

namespace cllm {
namespace {

/// Computes C[kRows, columns] (+)= A[kRows, run] B[columns, run]^T for at most kLanes columns.
/// Squares of B are turned in registers and used from there.
template <int kRows>
void few_rows_square(std::int64_t columns, std::int64_t run, MatrixView<const float> a,
                     MatrixView<const float> b, MatrixView<float> c, bool accumulate) {
  // The rows of B are separate streams, too many and too short for the hardware's prefetching.
  // Prefetching 64 floats ahead makes it a tenth faster.
  constexpr std::int64_t kAhead = 64;
  V sum[kRows];
  for (int r = 0; r < kRows; ++r) sum[r] = zero();
  V square[kLanes];
  std::int64_t p = 0;
  if (columns == kLanes) {
    for (; p + kLanes <= run; p += kLanes) {
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        square[i] = load(b.row(i) + p);
        __builtin_prefetch(b.row(i) + p + kAhead);
      }
      transpose(square);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          sum[r] = fma(set1(a.row(r)[p + i]), square[i], sum[r]);
        }
      }
    }
  }
  for (; p < run; p += kLanes) {
    const int depth = static_cast<int>(std::min<std::int64_t>(kLanes, run - p));
    for (int i = 0; i < kLanes; ++i) {
      square[i] = i < columns ? load_partial(b.row(i) + p, depth) : zero();
    }
    transpose(square);
    for (int i = 0; i < depth; ++i) {
      for (int r = 0; r < kRows; ++r) {
        sum[r] = fma(set1(a.row(r)[p + i]), square[i], sum[r]);
      }
    }
  }
  const int tail = static_cast<int>(columns);
  for (int r = 0; r < kRows; ++r) {
    float* const to = c.row(r);
    store_partial(to, accumulate ? add(load_partial(to, tail), sum[r]) : sum[r], tail);
  }
}

using FewRowsSquare = void (*)(std::int64_t columns, std::int64_t run, MatrixView<const float> a,
                               MatrixView<const float> b, MatrixView<float> c, bool accumulate);

template <std::size_t... kIndex>
constexpr std::array<FewRowsSquare, sizeof...(kIndex)> few_rows_squares(
    std::index_sequence<kIndex...>) {
  return {&few_rows_square<static_cast<int>(kIndex) + 1>...};
}

/// REQUIRES: 1 <= m <= kMicroRows; the form is NT.
inline void gemm_few_rows(const GemmArgs& g, std::int64_t longest_run) {
  static constexpr auto kSquares = few_rows_squares(std::make_index_sequence<kMicroRows>());
  const FewRowsSquare square = kSquares[static_cast<std::size_t>(g.m - 1)];
  std::int64_t p = 0;
  do {
    const std::int64_t run = std::min(longest_run, g.k - p);
    for (std::int64_t j = 0; j < g.n; j += kLanes) {
      square(std::min<std::int64_t>(kLanes, g.n - j), run, g.a.at(0, p), g.b.at(j, p), g.c.at(0, j),
             g.accumulate || p > 0);
    }
    p += run;
  } while (p < g.k);
}

}  // namespace
}  // namespace cllm
