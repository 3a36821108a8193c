// Copies of operands in the order in which micro tiles read them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "cpu/kernels/micro.h"
#include "cpu/kernels/transpose.h"
#include "cpu/kernels/vec.h"

namespace cllm {
namespace {

/// B[run, columns] row-major -> panels [run][kMicroColumns], panel_step apart. A last vector is
/// filled with zeros, vectors beyond it are left alone.
inline void pack_panels(std::int64_t run, std::int64_t columns, const float* b, std::int64_t ldb,
                        float* panels, std::int64_t panel_step) {
  for (std::int64_t p = 0; p < run; ++p, b += ldb, panels += kMicroColumns) {
    float* out = panels;
    std::int64_t j = 0;
    for (; j + kMicroColumns <= columns; j += kMicroColumns, out += panel_step) {
      for (int v = 0; v < kMicroVectors; ++v) store(out + v * kLanes, load(b + j + v * kLanes));
    }
    for (; j + kLanes <= columns; j += kLanes, out += kLanes) store(out, load(b + j));
    if (j < columns) store(out, load_partial(b + j, static_cast<int>(columns - j)));
  }
}

/// B[columns, run] row-major -> the same panels.
inline void pack_panels_transposed(std::int64_t run, std::int64_t columns, const float* b,
                                   std::int64_t ldb, float* panels, std::int64_t panel_step) {
  for (std::int64_t j = 0; j < columns; j += kLanes) {
    float* const out = panels + j / kMicroColumns * panel_step + j % kMicroColumns;
    const std::int64_t rows = std::min<std::int64_t>(kLanes, columns - j);
    const float* const in = b + j * ldb;
    std::int64_t p = 0;
    if (rows == kLanes) {
      for (; p + kLanes <= run; p += kLanes) {
        V block[kLanes];
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) block[i] = load(in + i * ldb + p);
        transpose(block);
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) store(out + (p + i) * kMicroColumns, block[i]);
      }
    }
    for (; p < run; p += kLanes) {
      const int depth = static_cast<int>(std::min<std::int64_t>(kLanes, run - p));
      V block[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        block[i] = i < rows ? load_partial(in + i * ldb + p, depth) : zero();
      }
      transpose(block);
      for (int i = 0; i < depth; ++i) store(out + (p + i) * kMicroColumns, block[i]);
    }
  }
}

/// A[run, rows] row-major (a transposed operand) -> groups [run][kMicroRows], group_step apart.
/// REQUIRES: group_step >= run * kMicroRows + kGroupCopy: each k is copied as a power of two of
/// floats, and what exceeds the group is overwritten by the next k or lies in the gap.
constexpr std::int64_t kGroupCopy = kMicroRows == 4 ? 4 : 8;

inline void pack_groups(std::int64_t run, std::int64_t rows, const float* a, std::int64_t lda,
                        float* groups, std::int64_t group_step) {
  for (std::int64_t p = 0; p < run; ++p, a += lda, groups += kMicroRows) {
    float* out = groups;
    std::int64_t i = 0;
    for (; i + kGroupCopy <= rows; i += kMicroRows, out += group_step) {
      std::memcpy(out, a + i, kGroupCopy * sizeof(float));
    }
    for (; i < rows; i += kMicroRows, out += group_step) {
      const std::int64_t some = std::min<std::int64_t>(kMicroRows, rows - i);
      for (std::int64_t r = 0; r < some; ++r) out[r] = a[i + r];
    }
  }
}

}  // namespace
}  // namespace cllm
