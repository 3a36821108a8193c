// Matrix products of one instruction set: blocked, B packed into panels, A read where it lies.
//
// Bits: an element of C is a chain of fma over kGemmRun values of k, from zero and in order; the
// sums of the runs are added to C in order (the first is stored unless `accumulate`). The chain
// knows its row of A, its column of B and k alone, so any cut of m or n, any leading dimension and
// any alignment give the same bits, whether B was packed or not.
//
// Blocks: a packed B of kGemmRun x kGemmColumns stays in L2 or streams from L3 by panels, each of
// them used for kGemmRows rows of A, which stay in L2. Only a transposed A is packed: broadcasts
// read rows as well as groups.
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
constexpr std::int64_t kGemmRows = 16 * kMicroRows;
constexpr std::int64_t kGemmColumns = 768;
static_assert(kGemmColumns % kMicroColumns == 0);

// Up to so many rows a row-major B is read in place. With AVX-512 a panel's row is four cache lines
// and 48 rows run at 243 to 262 GFLOP/s, against 178 to 223 when packing; with AVX2 it is one line,
// and many of them, a whole matrix row apart, evict each other.
constexpr std::int64_t kUnpackedRows = kLanes == 16 ? kGemmRows : 2 * kMicroRows;

// Panels and groups are a few lines longer than a power of two, so that the same k of neighbouring
// ones does not meet in the same cache set.
constexpr std::int64_t kPanelFloats = kGemmRun * kMicroColumns + 64;
constexpr std::int64_t kGroupFloats = kGemmRun * kMicroRows + 16;
constexpr std::size_t kGemmScratchFloats = static_cast<std::size_t>(
    kGemmColumns / kMicroColumns * kPanelFloats + kGemmRows / kMicroRows * kGroupFloats);

/// A block of C[rows, columns] (+)= A[rows, run] B[run, columns] from packed or lying operands.
/// `a` is the block's first element; its groups of kMicroRows rows are group_step apart, the panels
/// of B panel_step.
template <MicroA kA>
void gemm_block(std::int64_t rows, std::int64_t columns, std::int64_t run, const float* a,
                std::int64_t lda, std::int64_t group_step, const float* b, std::int64_t ldb,
                std::int64_t panel_step, float* c, std::int64_t ldc, bool accumulate) {
  for (std::int64_t j = 0; j < columns; j += kMicroColumns, b += panel_step) {
    const int width = static_cast<int>(std::min<std::int64_t>(kMicroColumns, columns - j));
    const MicroTile whole = find_micro_tile<kA>(kMicroRows, width);
    const int tail = micro_tail(width);
    const float* group = a;
    std::int64_t i = 0;
    for (; i + kMicroRows <= rows; i += kMicroRows, group += group_step) {
      whole(run, group, lda, b, ldb, c + i * ldc + j, ldc, accumulate, tail);
    }
    if (i < rows) {
      const MicroTile rest = find_micro_tile<kA>(static_cast<int>(rows - i), width);
      rest(run, group, lda, b, ldb, c + i * ldc + j, ldc, accumulate, tail);
    }
  }
}

/// The runs of k for columns [first, first + columns) of B, packed one run at a time.
template <GemmForm kForm>
void gemm_columns(const GemmArgs& g, std::int64_t first, std::int64_t columns, float* scratch) {
  float* const packed_a = scratch;
  float* const packed_b = scratch + kGemmRows / kMicroRows * kGroupFloats;
  std::int64_t p = 0;
  do {
    const std::int64_t run = std::min(kGemmRun, g.k - p);
    const bool accumulate = g.accumulate || p > 0;
    if (kForm == GemmForm::kNT) {
      pack_panels_transposed(run, columns, g.b + first * g.ldb + p, g.ldb, packed_b, kPanelFloats);
    } else {
      pack_panels(run, columns, g.b + p * g.ldb + first, g.ldb, packed_b, kPanelFloats);
    }
    for (std::int64_t i = 0; i < g.m; i += kGemmRows) {
      const std::int64_t rows = std::min(kGemmRows, g.m - i);
      float* const c = g.c + i * g.ldc + first;
      if (kForm == GemmForm::kTN) {
        pack_groups(run, rows, g.a + p * g.lda + i, g.lda, packed_a, kGroupFloats);
        gemm_block<MicroA::kColumns>(rows, columns, run, packed_a, kMicroRows, kGroupFloats,
                                     packed_b, kMicroColumns, kPanelFloats, c, g.ldc, accumulate);
      } else {
        gemm_block<MicroA::kRows>(rows, columns, run, g.a + i * g.lda + p, g.lda,
                                  kMicroRows * g.lda, packed_b, kMicroColumns, kPanelFloats, c,
                                  g.ldc, accumulate);
      }
    }
    p += run;
  } while (p < g.k);
}

/// The same from a row-major B where it lies.
inline void gemm_unpacked(const GemmArgs& g) {
  std::int64_t p = 0;
  do {
    const std::int64_t run = std::min(kGemmRun, g.k - p);
    gemm_block<MicroA::kRows>(g.m, g.n, run, g.a + p, g.lda, kMicroRows * g.lda, g.b + p * g.ldb,
                              g.ldb, kMicroColumns, g.c, g.ldc, g.accumulate || p > 0);
    p += run;
  } while (p < g.k);
}

/// KernelTable::gemm. REQUIRES: `scratch` holds kGemmScratchFloats, 64-byte aligned.
void gemm(const GemmArgs& args, float* scratch) {
  if (args.m == 0) return;
  if (args.form == GemmForm::kNN && args.m <= kUnpackedRows) return gemm_unpacked(args);
  if (args.form == GemmForm::kNT && args.m <= kMicroRows) return gemm_few_rows(args, kGemmRun);
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
