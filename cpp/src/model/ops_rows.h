// Operations walk through rows by sequences and by the documents in them.
#pragma once

#include <cstring>

#include "model/shard_ops.h"

namespace cllm {

/// Calls body(rows, sequence, first) for the rows of each sequence in turn; `first` is the place of
/// the first one in its sequence.
template <class T>
template <class Body>
void ShardOps<T>::in_sequences(const Range& rows, Body body) const {
  const std::int64_t L = cuts.shape.length;
  for (std::int64_t r = rows.begin; r < rows.end;) {
    const std::int64_t s = r / L, end = std::min(rows.end, (s + 1) * L);
    body(Range{r, end}, s, r - s * L);
    r = end;
  }
}

/// Calls body(rows, first) for the rows of each document in turn; `first` is the position of the
/// first one.
template <class T>
template <class Body>
void ShardOps<T>::in_documents(const Range& rows, Body body) const {
  const std::int32_t* const first_keys = data.rows.first_keys;
  in_sequences(rows, [&](const Range& some, std::int64_t, std::int64_t first) {
    if (first_keys == nullptr) return body(some, first);
    for (std::int64_t r = some.begin; r < some.end;) {
      std::int64_t end = r + 1;
      while (end < some.end && first_keys[end] == first_keys[r]) ++end;
      body(Range{r, end}, position(r));
      r = end;
    }
  });
}

/// Returns the place of a row in its document.
template <class T>
std::int64_t ShardOps<T>::position(std::int64_t row) const noexcept {
  const std::int64_t place = row % cuts.shape.length;
  return data.rows.first_keys == nullptr ? place : place - data.rows.first_keys[row];
}

/// Sets out[rows, columns] to 0.
template <class T>
void clear_rows(std::int64_t rows, std::int64_t columns, MatrixView<T> out) {
  for (std::int64_t r = 0; r < rows; ++r) {
    std::memset(static_cast<void*>(out.row(r)), 0, static_cast<std::size_t>(columns) * sizeof(T));
  }
}

}  // namespace cllm
