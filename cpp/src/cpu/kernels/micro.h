// Every matrix product has this inner tile: a few rows by a few vectors of C, held in registers.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "cpu/kernels/operand.h"
#include "cpu/kernels/vec.h"

namespace cllm {
namespace {

// This is the largest tile. Registers limit it: rows x vectors accumulators, one row of B and one
// broadcast of A. So do loads: a step over k needs rows + vectors of them for rows x vectors fmas.
// AVX-512 (32 registers): 6 x 4, measured at 97 % of a Zen 5 core's peak, as are 8 x 3 and 4 x 4,
// while 12 x 2 and 14 x 2 wait for loads (70 %). AVX2 (16): 6 x 2. Scalar: 4 x 2; 4 x 4 spills.
constexpr int kMicroRows = kLanes == 1 ? 4 : 6;
constexpr int kMicroVectors = kLanes == 16 ? 4 : 2;
constexpr int kMicroColumns = kMicroVectors * kLanes;

/// Says where element (row, k) of A is.
enum class MicroA {
  kRows,     ///< a row-major matrix as it stands: rows lda numbers apart, the cells of k in a row
  kColumns,  ///< cells [k][lda]: packed groups, or a transposed matrix of floats as it stands
};

/// Sets C[rows, columns] = A[rows, k] B[k, columns], or adds that to C when `accumulate`. Each
/// element is one chain of fma (Bf16: dot) from zero in the order of k, whatever the tile. k and
/// ldb count cells, which are floats or pairs of Bf16 (operand.h). B is b[k * ldb + column]. The
/// last vector holds `tail` columns; nothing beyond them is read or written. REQUIRES: 1 <= tail <=
/// kLanes, and tail == kLanes unless kTail.
template <class T, int kRows, int kVectors, MicroA kA, bool kTail>
void micro_tile(std::int64_t k, const T* a, std::int64_t lda, const T* b, std::int64_t ldb,
                float* c, std::int64_t ldc, bool accumulate, int tail) {
  using Cells = decltype(load_cells(b));
  constexpr std::int64_t kStep = kPerCell<T>;
  constexpr int kLast = kVectors - 1;
  V sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) sum[i][j] = zero();
    // C is used only after the k loop, so it is fetched meanwhile.
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) __builtin_prefetch(c + i * ldc + j * kLanes, 1);
  }
  for (std::int64_t p = 0; p < k; ++p) {
    Cells row[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kLast; ++j) row[j] = load_cells(b + j * kLanes * kStep);
    const T* const last = b + kLast * kLanes * kStep;
    row[kLast] = kTail ? load_cells_partial(last, tail) : load_cells(last);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const Cells x = set1_cell(a + (kA == MicroA::kRows ? i * lda + p * kStep : i * kStep));
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) sum[i][j] = multiply(x, row[j], sum[i][j]);
    }
    b += ldb * kStep;
    if (kA == MicroA::kColumns) a += lda * kStep;
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i, c += ldc) {
#pragma GCC unroll 8
    for (int j = 0; j < kLast; ++j) {
      float* const out = c + j * kLanes;
      store(out, accumulate ? add(load(out), sum[i][j]) : sum[i][j]);
    }
    float* const out = c + kLast * kLanes;
    if (kTail) {
      const V old = accumulate ? load_partial(out, tail) : zero();
      store_partial(out, accumulate ? add(old, sum[i][kLast]) : sum[i][kLast], tail);
    } else {
      store(out, accumulate ? add(load(out), sum[i][kLast]) : sum[i][kLast]);
    }
  }
}

template <class T>
using MicroTileOf = void (*)(std::int64_t k, const T* a, std::int64_t lda, const T* b,
                             std::int64_t ldb, float* c, std::int64_t ldc, bool accumulate,
                             int tail);

using MicroTile = MicroTileOf<float>;

template <class T, MicroA kA, bool kTail, std::size_t... kIndex>
constexpr std::array<MicroTileOf<T>, sizeof...(kIndex)> micro_tiles(
    std::index_sequence<kIndex...>) {
  return {&micro_tile<T, static_cast<int>(kIndex) / kMicroVectors + 1,
                      static_cast<int>(kIndex) % kMicroVectors + 1, kA, kTail>...};
}

/// Returns the tile for 1 <= rows <= kMicroRows and 1 <= columns <= kMicroColumns. Call it with
/// tail = columns - (vectors - 1) * kLanes; see micro_tail.
template <MicroA kA, class T = float>
MicroTileOf<T> find_micro_tile(int rows, int columns) {
  using Indices = std::make_index_sequence<kMicroRows * kMicroVectors>;
  static constexpr auto kWhole = micro_tiles<T, kA, false>(Indices());
  static constexpr auto kPartial = micro_tiles<T, kA, (kLanes > 1)>(Indices());
  const int vectors = (columns + kLanes - 1) / kLanes;
  const std::size_t index = static_cast<std::size_t>((rows - 1) * kMicroVectors + vectors - 1);
  return columns % kLanes == 0 ? kWhole[index] : kPartial[index];
}

/// Counts the columns in the last vector of a tile.
inline int micro_tail(int columns) { return (columns - 1) % kLanes + 1; }

}  // namespace
}  // namespace cllm
