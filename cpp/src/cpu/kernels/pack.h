// Operands are copied here in the order in which micro tiles read them, and rounded to bf16 where
// they are multiplied as bf16. T is what is multiplied, S what the source holds. Packed operands
// consist of cells (operand.h); an odd k is filled up with 0.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/bf16.h"
#include "base/matrix_view.h"
#include "cpu/kernels/micro.h"
#include "cpu/kernels/operand.h"
#include "cpu/kernels/transpose.h"
#include "cpu/kernels/vec.h"

namespace cllm {
namespace {

inline Pairs zip_rows(const float* a, const float* b) { return zip(load(a), load(b)); }
inline Pairs zip_rows(const Bf16* a, const Bf16* b) { return zip(a, b); }

/// Returns the cells of n columns from row p of a row-major matrix and, for pairs, the row after
/// it, which is 0 when `depth` is 1. Lanes >= n are 0.
template <class S>
V gather(const S* row, std::int64_t /*ld*/, int /*depth*/, int n, const float*) {
  return n == kLanes ? load(row) : load_partial(row, n);
}
template <class S>
Pairs gather(const S* row, std::int64_t ld, int depth, int n, const Bf16*) {
  if (n == kLanes && depth == 2) return zip_rows(row, row + ld);
  return zip(load_partial(row, n), depth == 2 ? load_partial(row + ld, n) : zero());
}

/// Packs B[run, columns] row-major into panels [cells of run][kMicroColumns], panel_step numbers
/// apart. The last vector is filled with zeros; vectors beyond it are not touched.
template <class T, class S>
void pack_panels(std::int64_t run, std::int64_t columns, MatrixView<const S> b, T* panels,
                 std::int64_t panel_step) {
  constexpr std::int64_t kCell = kPerCell<T>;
  for (std::int64_t p = 0; p < run; p += kCell, panels += kCell * kMicroColumns) {
    const S* const row = b.row(p);
    const int depth = static_cast<int>(std::min(kCell, run - p));
    T* out = panels;
    std::int64_t j = 0;
    for (; j + kMicroColumns <= columns; j += kMicroColumns, out += panel_step) {
      for (int v = 0; v < kMicroColumns; v += kLanes) {
        store_cells(out + kCell * v, gather(row + j + v, b.stride, depth, kLanes, out));
      }
    }
    for (; j < columns; j += kLanes, out += kCell * kLanes) {
      const int n = static_cast<int>(std::min<std::int64_t>(kLanes, columns - j));
      store_cells(out, gather(row + j, b.stride, depth, n, out));
    }
  }
}

/// Returns the cells of the numbers along k that fill a register, or of n of them, the others 0.
template <class S>
V cells_along(const S* p, const float*) {
  return load(p);
}
inline V cells_along(const float* p, const Bf16*) {
  return as_floats(pair_up(load(p), load(p + kLanes)));
}
inline V cells_along(const Bf16* p, const Bf16*) { return as_floats(load_pairs(p)); }
template <class S>
V cells_along(const S* p, int n, const float*) {
  return load_partial(p, n);
}
inline V cells_along(const float* p, int n, const Bf16*) {
  const int first = std::min(n, kLanes);
  return as_floats(pair_up(load_partial(p, first), load_partial(p + first, n - first)));
}
inline V cells_along(const Bf16* p, int n, const Bf16*) {
  return as_floats(load_pairs_partial(p, n));
}

inline void store_turned(float* p, V cells) { store(p, cells); }
inline void store_turned(Bf16* p, V cells) { store_pairs(p, as_pairs(cells)); }

/// Packs B[columns, run] row-major into the same panels. Pairs are put side by side before they are
/// turned, so a square of bf16 has twice as many numbers; turning them as floats and zipping them
/// took twice as long.
template <class T, class S>
void pack_panels_transposed(std::int64_t run, std::int64_t columns, MatrixView<const S> b,
                            T* panels, std::int64_t panel_step) {
  constexpr int kRun = kLanes * kPerCell<T>;          // numbers whose cells fill a register
  constexpr int kStep = kMicroColumns * kPerCell<T>;  // from one row of cells to the next
  for (std::int64_t j = 0; j < columns; j += kLanes) {
    T* const out = panels + j / kMicroColumns * panel_step + kPerCell<T> * (j % kMicroColumns);
    const std::int64_t rows = std::min<std::int64_t>(kLanes, columns - j);
    const S* const in = b.row(j);
    std::int64_t p = 0;
    for (; rows == kLanes && p + kRun <= run; p += kRun) {
      T* const to = out + p * kMicroColumns;
      const S* row = in + p;
      V block[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i, row += b.stride) block[i] = cells_along(row, out);
      transpose(block);
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) store_turned(to + i * kStep, block[i]);
    }
    for (; p < run; p += kRun) {
      const int depth = static_cast<int>(std::min<std::int64_t>(kRun, run - p));
      T* const to = out + p * kMicroColumns;
      V block[kLanes];
      const S* row = in + p;
      for (int i = 0; i < kLanes; ++i, row += b.stride) {
        block[i] = i < rows ? cells_along(row, depth, out) : zero();
      }
      transpose(block);
      for (int i = 0; i < cells<T>(depth); ++i) store_turned(to + i * kStep, block[i]);
    }
  }
}

/// Deals one row of cells [rows] to a row of each group. A power of two of cells is copied; what
/// exceeds the group is overwritten by the next row or lies in the gap. REQUIRES: group_step >=
/// (cells of a run) * kMicroRows + kGroupCopy cells.
constexpr std::int64_t kGroupCopy = kMicroRows == 4 ? 4 : 8;

template <class T>
void deal_groups(std::int64_t rows, const T* cell, T* groups, std::int64_t group_step) {
  constexpr std::int64_t kGroup = kPerCell<T> * kMicroRows;
  std::int64_t i = 0;
  for (; i + kGroupCopy <= rows; i += kMicroRows, cell += kGroup, groups += group_step) {
    std::memcpy(groups, cell, kGroupCopy * sizeof(float));
  }
  for (; i < rows; i += kMicroRows, cell += kGroup, groups += group_step) {
    const std::int64_t some = kPerCell<T> * std::min<std::int64_t>(kMicroRows, rows - i);
    for (std::int64_t r = 0; r < some; ++r) groups[r] = cell[r];
  }
}

/// Packs A[run, rows] row-major (a transposed operand) into groups [cells of run][kMicroRows],
/// group_step numbers apart. REQUIRES: as for deal_groups; rows <= kGemmRows.
constexpr std::int64_t kGemmRows = 16 * kMicroRows;

inline void pack_groups(std::int64_t run, std::int64_t rows, MatrixView<const float> a,
                        float* groups, std::int64_t group_step) {
  for (std::int64_t p = 0; p < run; ++p, groups += kMicroRows) {
    deal_groups(rows, a.row(p), groups, group_step);
  }
}

inline void pack_groups(std::int64_t run, std::int64_t rows, MatrixView<const Bf16> a, Bf16* groups,
                        std::int64_t group_step) {
  Bf16 pairs[2 * (kGemmRows + kLanes)];
  for (std::int64_t p = 0; p < run; p += 2, groups += 2 * kMicroRows) {
    const int depth = p + 1 < run ? 2 : 1;
    for (std::int64_t i = 0; i < rows; i += kLanes) {
      const int n = static_cast<int>(std::min<std::int64_t>(kLanes, rows - i));
      store_pairs(pairs + 2 * i, gather(a.row(p) + i, a.stride, depth, n, pairs));
    }
    deal_groups(rows, pairs, groups, group_step);
  }
}

}  // namespace
}  // namespace cllm
