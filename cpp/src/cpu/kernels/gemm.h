// Matrix products of one instruction set are blocked: B is packed into panels, A is read in place.
//
// Bits: an element of C is a chain of fma over kGemmRun values of k, from zero and in order; the
// sums of the runs are added to C in order (the first is stored unless `accumulate`). The chain
// depends only on its row of A, its column of B and k. So any cut of m or n, any leading dimension
// and any alignment give the same bits, whether B was packed or not.
//
// Blocks: a packed B of kGemmRun x kGemmColumns stays in L2 or streams from L3 by panels. Each
// panel is used for kGemmRows rows of A, which stay in L2. A is packed only when it is transposed,
// because broadcasts read rows as fast as groups.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cpu/kernel_table.h"
#include "cpu/kernels/gemm_few_rows.h"
#include "cpu/kernels/micro.h"
#include "cpu/kernels/pack.h"

namespace cllm {
namespace {

constexpr std::int64_t kGemmRun = 512;
constexpr std::int64_t kGemmColumns = 768;
static_assert(kGemmColumns % kMicroColumns == 0);

// A row-major B of floats is read in place up to this many rows. With AVX-512 a panel's row is four
// cache lines, and 48 rows run at 243 to 262 GFLOP/s, against 178 to 223 when packing. With AVX2 it
// is one line, and many such lines, a whole matrix row apart, evict each other.
constexpr std::int64_t kUnpackedRows = kLanes == 16 ? kGemmRows : 2 * kMicroRows;

// Panels and groups are a few lines longer than a power of two, so that the same k of neighbours
// does not fall in the same cache set.
template <class T>
constexpr std::int64_t kPanelStep = kGemmRun * kMicroColumns + 64 * kPerCell<T>;
template <class T>
constexpr std::int64_t kGroupStep = kGemmRun * kMicroRows + 16 * kPerCell<T>;
constexpr std::size_t kGemmScratchFloats = static_cast<std::size_t>(
    kGemmColumns / kMicroColumns * kPanelStep<float> + kGemmRows / kMicroRows * kGroupStep<float>);

/// Computes a block of C[rows, columns] (+)= A[rows, k] B[k, columns] from operands that are packed
/// or in place; k and ldb count cells. `a` is the block's first element. Its groups of kMicroRows
/// rows are group_step numbers apart, the panels of B panel_step.
template <MicroA kA, class T>
void gemm_block(std::int64_t rows, std::int64_t columns, std::int64_t k, const T* a,
                std::int64_t lda, std::int64_t group_step, const T* b, std::int64_t ldb,
                std::int64_t panel_step, MatrixView<float> c, bool accumulate) {
  for (std::int64_t j = 0; j < columns; j += kMicroColumns, b += panel_step) {
    const int width = static_cast<int>(std::min<std::int64_t>(kMicroColumns, columns - j));
    const MicroTileOf<T> whole = find_micro_tile<kA, T>(kMicroRows, width);
    const int tail = micro_tail(width);
    const T* group = a;
    std::int64_t i = 0;
    for (; i + kMicroRows <= rows; i += kMicroRows, group += group_step) {
      whole(k, group, lda, b, ldb, c.row(i) + j, c.stride, accumulate, tail);
    }
    if (i < rows) {
      const MicroTileOf<T> rest = find_micro_tile<kA, T>(static_cast<int>(rows - i), width);
      rest(k, group, lda, b, ldb, c.row(i) + j, c.stride, accumulate, tail);
    }
  }
}

/// Does the same with a row-major A and a packed B; k counts numbers. With Bf16 an odd last k,
/// which only the last run of a product can have, has no pair in A: it becomes a run of its own.
/// REQUIRES: rows <= kGemmRows.
template <class T>
void gemm_block_packed(std::int64_t rows, std::int64_t columns, std::int64_t run,
                       MatrixView<const T> a, const T* b, std::int64_t panel_step,
                       MatrixView<float> c, bool accumulate) {
  const std::int64_t whole = run / kPerCell<T>;
  gemm_block<MicroA::kRows>(rows, columns, whole, a.data, a.stride, kMicroRows * a.stride, b,
                            kMicroColumns, panel_step, c, accumulate);
  if (run == whole * kPerCell<T>) return;
  T last[kPerCell<T> * kGemmRows] = {};
  for (std::int64_t i = 0; i < rows; ++i) last[i * kPerCell<T>] = a.row(i)[run - 1];
  gemm_block<MicroA::kColumns>(rows, columns, 1, last, kMicroRows, kMicroRows * kPerCell<T>,
                               b + whole * kPerCell<T> * kMicroColumns, kMicroColumns, panel_step,
                               c, true);
}

/// Multiplies columns [first, first + columns) of B, packed one run of k at a time.
template <GemmForm kForm, class T, class S>
void gemm_columns(const GemmArgsOf<T, S>& g, std::int64_t first, std::int64_t columns,
                  float* scratch) {
  T* const packed_a = reinterpret_cast<T*>(scratch);
  T* const packed_b = packed_a + kGemmRows / kMicroRows * kGroupStep<T>;
  std::int64_t p = 0;
  do {
    const std::int64_t run = std::min(kGemmRun, g.k - p);
    const bool accumulate = g.accumulate || p > 0;
    if (kForm == GemmForm::kNT) {
      pack_panels_transposed(run, columns, g.b.at(first, p), packed_b, kPanelStep<T>);
    } else {
      pack_panels(run, columns, g.b.at(p, first), packed_b, kPanelStep<T>);
    }
    for (std::int64_t i = 0; i < g.m; i += kGemmRows) {
      const std::int64_t rows = std::min(kGemmRows, g.m - i);
      const MatrixView<float> c = g.c.at(i, first);
      if (kForm == GemmForm::kTN) {
        pack_groups(run, rows, g.a.at(p, i), packed_a, kGroupStep<T>);
        gemm_block<MicroA::kColumns>(rows, columns, cells<T>(run), packed_a, kMicroRows,
                                     kGroupStep<T>, packed_b, kMicroColumns, kPanelStep<T>, c,
                                     accumulate);
      } else {
        gemm_block_packed<T>(rows, columns, run, g.a.at(i, p), packed_b, kPanelStep<T>, c,
                             accumulate);
      }
    }
    p += run;
  } while (p < g.k);
}

/// Does the same with a row-major B in place.
inline void gemm_unpacked(const GemmArgs& g) {
  std::int64_t p = 0;
  do {
    const std::int64_t run = std::min(kGemmRun, g.k - p);
    gemm_block<MicroA::kRows>(g.m, g.n, run, g.a.data + p, g.a.stride, kMicroRows * g.a.stride,
                              g.b.row(p), g.b.stride, kMicroColumns, g.c, g.accumulate || p > 0);
    p += run;
  } while (p < g.k);
}

/// Does products that need no packing; returns true when done.
inline bool gemm_in_place(const GemmArgs& g) {
  if (g.form == GemmForm::kNN && g.m <= kUnpackedRows) return gemm_unpacked(g), true;
  if (g.form == GemmForm::kNT && g.m <= kMicroRows) return gemm_few_rows(g, kGemmRun), true;
  return false;
}
template <class T, class S>
bool gemm_in_place(const GemmArgsOf<T, S>&) {
  return false;
}

/// Implements ProductKernels::gemm, gemm_weight and gemm_bf16_weight. REQUIRES: `scratch` holds
/// kGemmScratchFloats, 64-byte aligned.
template <class T, class S>
void gemm(const GemmArgsOf<T, S>& args, float* scratch) {
  if (args.m == 0 || gemm_in_place(args)) return;
  for (std::int64_t j = 0; j < args.n; j += kGemmColumns) {
    const std::int64_t columns = std::min(kGemmColumns, args.n - j);
    switch (args.form) {
      case GemmForm::kNN:
        gemm_columns<GemmForm::kNN>(args, j, columns, scratch);
        break;
      case GemmForm::kNT:
        gemm_columns<GemmForm::kNT>(args, j, columns, scratch);
        break;
      case GemmForm::kTN:
        gemm_columns<GemmForm::kTN>(args, j, columns, scratch);
        break;
    }
  }
}

}  // namespace
}  // namespace cllm
