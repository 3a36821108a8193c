// These products use a B that was packed before, once for many products: a weight, which every tile
// of rows multiplies by.
//
// Layout: panels of kMicroColumns columns, each [cells of k][kMicroColumns]. So in every
// instruction set a column c that begins a panel lies c * k numbers (k rounded up to whole cells)
// from the start. The chains are those of gemm.h.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/kernel_table.h"
#include "cpu/kernels/gemm.h"
#include "cpu/kernels/pack.h"

namespace cllm {
namespace {

static_assert(kPackedColumns % kMicroColumns == 0);

/// Packs columns of B, all of k or a run of it.
template <class T>
void pack_some(GemmForm form, std::int64_t k, std::int64_t n, MatrixView<const float> b, T* panel,
               std::int64_t step) {
  if (form == GemmForm::kNT) return pack_panels_transposed(k, n, b, panel, step);
  pack_panels(k, n, b, panel, step);
}

/// Implements ProductKernels::pack_weight. Whole panels are written past the caches, strip by
/// strip: in the last step other cores have read these lines, and a core that shares no cache with
/// them waits for each line that it takes back.
template <class T>
void pack_weight(const PackArgs<T>& w) {
  constexpr std::int64_t kStrip = 64;  // cells of k: 16 KiB or less
  const std::int64_t step = packed_column<T>(w.depth, kMicroColumns);
  const auto part = [&w](std::int64_t p, std::int64_t j) {
    return w.form == GemmForm::kNT ? w.b.at(j, p) : w.b.at(p, j);
  };
  T* packed = w.panels + w.first * kMicroColumns;
  const bool aligned = reinterpret_cast<std::uintptr_t>(packed) % 64 == 0;
  for (std::int64_t j = 0; j < w.n; j += kMicroColumns, packed += step) {
    if (w.n - j < kMicroColumns || !aligned) {
      pack_some(w.form, w.k, std::min<std::int64_t>(kMicroColumns, w.n - j), part(0, j), packed,
                step);
      continue;
    }
    alignas(64) float strip[kStrip * kMicroColumns];
    float* to = reinterpret_cast<float*>(packed);
    for (std::int64_t p = 0; p < w.k; p += kStrip * kPerCell<T>) {
      const std::int64_t run = std::min(kStrip * kPerCell<T>, w.k - p);
      pack_some(w.form, run, kMicroColumns, part(p, j), reinterpret_cast<T*>(strip), 0);
      for (std::int64_t i = 0; i < cells<T>(run) * kMicroColumns; i += kLanes, to += kLanes) {
        stream(to, load(strip + i));
      }
    }
  }
  end_streams();
}

/// Implements ProductKernels::gemm_packed.
template <class T>
void gemm_packed(const PackedGemmArgs<T>& g) {
  const std::int64_t step = packed_column<T>(g.k, kMicroColumns);
  std::int64_t p = 0;
  do {
    const std::int64_t run = std::min(kGemmRun, g.k - p);
    for (std::int64_t i = 0; i < g.m; i += kGemmRows) {
      gemm_block_packed<T>(std::min(kGemmRows, g.m - i), g.n, run, g.a.at(i, p),
                           g.panels + p * kMicroColumns, step, g.c.at(i, 0), g.accumulate || p > 0);
    }
    p += run;
  } while (p < g.k);
}

}  // namespace
}  // namespace cllm
