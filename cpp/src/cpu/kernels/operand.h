// This is what the inner loops of products load at a time, for both types of operands.
#pragma once

#include <cstdint>

#include "cpu/kernels/vec.h"

namespace cllm {
namespace {

/// A cell is what lies in one lane and is multiplied in one step over k: a float, or a pair of
/// Bf16. Packed operands are counted in cells.
template <class T>
constexpr std::int64_t kPerCell = kPerFloat<T>;

/// Counts the cells that hold n numbers.
template <class T>
constexpr std::int64_t cells(std::int64_t n) {
  return (n + kPerCell<T> - 1) / kPerCell<T>;
}

inline V load_cells(const float* p) { return load(p); }
inline V load_cells_partial(const float* p, int n) { return load_partial(p, n); }
inline void store_cells(float* p, V x) { store(p, x); }
inline V set1_cell(const float* p) { return set1(*p); }
inline V multiply(V a, V b, V sum) { return fma(a, b, sum); }

inline Pairs load_cells(const Bf16* p) { return load_pairs(p); }
inline Pairs load_cells_partial(const Bf16* p, int n) { return load_pairs_partial(p, 2 * n); }
inline void store_cells(Bf16* p, Pairs x) { store_pairs(p, x); }
inline Pairs set1_cell(const Bf16* p) { return set1_pair(p); }
inline V multiply(Pairs a, Pairs b, V sum) { return dot(a, b, sum); }

}  // namespace
}  // namespace cllm
