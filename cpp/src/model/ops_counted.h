// These operations give the rows of a shard their places in the head.
//
// The head has all rows of the shard, or only those whose target is counted: then these are
// gathered first, and place i belongs to the i-th of them. Tiles of places beyond the last one are
// empty.
#pragma once

#include <algorithm>
#include <cstring>

#include "model/ops_rows.h"

namespace cllm {

template <class T>
bool ShardOps<T>::is_counted(std::int64_t row) const noexcept {
  return data.rows.targets[row] != kNotCounted;
}

/// Returns how many of the places m of the chunk belong to a row.
template <class T>
std::int64_t ShardOps<T>::head_rows(const Range& m) const noexcept {
  if (cuts.head_rows == HeadRows::kAll) return m.size();
  const std::int64_t left = count_targets(data.rows.targets, R) - phase.chunk * cuts.chunk_rows;
  return std::clamp<std::int64_t>(left - m.begin, 0, m.size());
}

/// Calls body(place, row) for those places m of the chunk that belong to a row of the shard.
template <class T>
template <class Body>
void ShardOps<T>::in_head(const Range& m, Body body) const {
  const std::int64_t first = phase.chunk * cuts.chunk_rows;
  if (cuts.head_rows == HeadRows::kAll) {
    for (std::int64_t i = m.begin; i < m.end; ++i) body(i, first + i);
    return;
  }
  for (std::int64_t r = 0, i = -first; r < R && i < m.end; ++r) {
    if (!is_counted(r)) continue;
    if (i >= m.begin) body(i, r);
    ++i;
  }
}

/// Moves the features of counted rows to their places.
template <class T>
void ShardOps<T>::gather_counted() const {
  std::int64_t place = 0;
  for (std::int64_t r = 0; r < R; ++r) {
    if (!is_counted(r)) continue;
    T* const to = operands.features + place++ * C;
    const T* const from = operands.features + r * C;
    if (to != from) std::memcpy(to, from, static_cast<std::size_t>(C) * sizeof(T));
  }
}

/// Moves the gradients of their features back; other rows have none.
template <class T>
void ShardOps<T>::spread_counted() const {
  std::int64_t place = count_targets(data.rows.targets, R);
  for (std::int64_t r = R - 1; r >= 0; --r) {
    float* const to = workspace.dnorm + r * C;
    if (!is_counted(r)) {
      clear_rows(1, C, MatrixView<float>{to, C});
      continue;
    }
    const float* const from = workspace.dnorm + --place * C;
    if (to != from) std::memcpy(to, from, static_cast<std::size_t>(C) * sizeof(float));
  }
}

/// Returns how many places of the chunk the gradient of the head's weight adds up: a few numbers
/// are all that this may be, because libraries keep a kernel for each.
template <class T>
std::int64_t ShardOps<T>::weight_rows() const noexcept {
  constexpr std::int64_t kStep = 32;
  const std::int64_t size = cuts.chunk_size(phase.chunk);
  return std::min(size, ceil_div(head_rows({0, size}), kStep) * kStep);
}

}  // namespace cllm
