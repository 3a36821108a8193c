// Products of at most kMicroRows rows, as in generation: B is used once, so packing it would cost
// more than multiplying. The chains are those of gemm.h, so are the bits.
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

/// C[m, columns] (+)= A[m, run] B[run, columns], B row-major and read where it lies.
inline void few_rows_run(std::int64_t m, std::int64_t columns, std::int64_t run, const float* a,
                         std::int64_t lda, const float* b, std::int64_t ldb, float* c,
                         std::int64_t ldc, bool accumulate) {
  for (std::int64_t j = 0; j < columns; j += kMicroColumns) {
    const int width = static_cast<int>(std::min<std::int64_t>(kMicroColumns, columns - j));
    find_micro_tile<MicroA::kRows>(static_cast<int>(m), width)(run, a, lda, b + j, ldb, c + j, ldc,
                                                               accumulate, micro_tail(width));
  }
}

/// C[kRows, columns] (+)= A[kRows, run] B[columns, run]^T for at most kLanes columns: squares of B
/// are turned in registers and used from there.
template <int kRows>
void few_rows_square(std::int64_t columns, std::int64_t run, const float* a, std::int64_t lda,
                     const float* b, std::int64_t ldb, float* c, std::int64_t ldc,
                     bool accumulate) {
  // Rows of B are streams of their own, too many and too short for the hardware's prefetching:
  // asking 64 floats ahead is worth a tenth.
  constexpr std::int64_t kAhead = 64;
  V sum[kRows];
  for (int r = 0; r < kRows; ++r) sum[r] = zero();
  V square[kLanes];
  std::int64_t p = 0;
  if (columns == kLanes) {
    for (; p + kLanes <= run; p += kLanes) {
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        square[i] = load(b + i * ldb + p);
        __builtin_prefetch(b + i * ldb + p + kAhead);
      }
      transpose(square);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          sum[r] = fma(set1(a[r * lda + p + i]), square[i], sum[r]);
        }
      }
    }
  }
  for (; p < run; p += kLanes) {
    const int depth = static_cast<int>(std::min<std::int64_t>(kLanes, run - p));
    for (int i = 0; i < kLanes; ++i) {
      square[i] = i < columns ? load_partial(b + i * ldb + p, depth) : zero();
    }
    transpose(square);
    for (int i = 0; i < depth; ++i) {
      for (int r = 0; r < kRows; ++r) {
        sum[r] = fma(set1(a[r * lda + p + i]), square[i], sum[r]);
      }
    }
  }
  const int tail = static_cast<int>(columns);
  for (int r = 0; r < kRows; ++r, c += ldc) {
    store_partial(c, accumulate ? add(load_partial(c, tail), sum[r]) : sum[r], tail);
  }
}

using FewRowsSquare = void (*)(std::int64_t columns, std::int64_t run, const float* a,
                               std::int64_t lda, const float* b, std::int64_t ldb, float* c,
                               std::int64_t ldc, bool accumulate);

template <std::size_t... kIndex>
constexpr std::array<FewRowsSquare, sizeof...(kIndex)> few_rows_squares(
    std::index_sequence<kIndex...>) {
  return {&few_rows_square<static_cast<int>(kIndex) + 1>...};
}

/// REQUIRES: args.m <= kMicroRows; the form is NN or NT.
inline void gemm_few_rows(const GemmArgs& g, std::int64_t longest_run) {
  static constexpr auto kSquares = few_rows_squares(std::make_index_sequence<kMicroRows>());
  if (g.m == 0) return;
  std::int64_t p = 0;
  do {
    const std::int64_t run = std::min(longest_run, g.k - p);
    const bool accumulate = g.accumulate || p > 0;
    if (g.form == GemmForm::kNN) {
      few_rows_run(g.m, g.n, run, g.a + p, g.lda, g.b + p * g.ldb, g.ldb, g.c, g.ldc, accumulate);
    } else {
      for (std::int64_t j = 0; j < g.n; j += kLanes) {
        kSquares[static_cast<std::size_t>(g.m - 1)](std::min<std::int64_t>(kLanes, g.n - j), run,
                                                    g.a + p, g.lda, g.b + j * g.ldb + p, g.ldb,
                                                    g.c + j, g.ldc, accumulate);
      }
    }
    p += run;
  } while (p < g.k);
}

}  // namespace
}  // namespace cllm
