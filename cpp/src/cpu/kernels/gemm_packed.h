// Products with a B that was packed before, once for many of them: a weight, which every tile of
// rows multiplies by.
//
// Layout: panels of kMicroColumns columns, each [cells of k][kMicroColumns]; so column c, when it
// begins a panel, lies c * k numbers (k filled up to whole cells) from the start in every
// instruction set. The chains are those of gemm.h.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/kernel_table.h"
#include "cpu/kernels/gemm.h"
#include "cpu/kernels/pack.h"

namespace cllm {
namespace {

static_assert(kPackedColumns % kMicroColumns == 0);

/// ProductKernels::pack_weight.
template <class T>
void pack_weight(GemmForm form, std::int64_t k, std::int64_t n, const float* b, std::int64_t ldb,
                 T* packed) {
  const std::int64_t step = packed_column<T>(k, kMicroColumns);
  if (form == GemmForm::kNT) return pack_panels_transposed(k, n, b, ldb, packed, step);
  // A panel at a time: written side by side, panels a power of two apart would evict each other.
  for (std::int64_t j = 0; j < n; j += kMicroColumns, packed += step) {
    pack_panels(k, std::min<std::int64_t>(kMicroColumns, n - j), b + j, ldb, packed, step);
  }
}

/// ProductKernels::gemm_packed.
template <class T>
void gemm_packed(const PackedGemmArgs<T>& g) {
  const std::int64_t step = packed_column<T>(g.k, kMicroColumns);
  std::int64_t p = 0;
  do {
    const std::int64_t run = std::min(kGemmRun, g.k - p);
    for (std::int64_t i = 0; i < g.m; i += kGemmRows) {
      gemm_block_packed(std::min(kGemmRows, g.m - i), g.n, run, g.a + i * g.lda + p, g.lda,
                        g.panels + p * kMicroColumns, step, g.c + i * g.ldc, g.ldc,
                        g.accumulate || p > 0);
    }
    p += run;
  } while (p < g.k);
}

}  // namespace
}  // namespace cllm
