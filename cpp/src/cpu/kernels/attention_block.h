// Causal attention, forward and backward, is made of steps in which 64 queries meet 64 keys.
#pragma once

#include "cpu/kernels/attention_pack.h"

namespace cllm {
namespace {

// On a diagonal block (queries and keys of the same 64 rows) query r meets only keys 0..r. Groups
// of kMicroRows that lie wholly beyond are left out, which saves 34 to 45 % of a block. `queries`
// and `keys` are the rows that exist. They are equal on the diagonal, where the last block may have
// fewer than 64 of both; off the diagonal all 64 keys exist.

/// Calls visit(row, c, seen) for each vector of scores that a later product reads: keys c to
/// c + kLanes - 1 of `row`, of which the query may see the first `seen`. The vectors of a row come
/// in the order of c. A diagonal block is visited down its columns, in loops of many equal steps:
/// its rows are one to four vectors long, and by rows exp would cost as much as in a whole block.
template <class Visit>
inline void visit_scores(std::int64_t queries, std::int64_t keys, bool diagonal, Visit visit) {
  if (!diagonal) {
    for (std::int64_t r = 0; r < queries; ++r) {
      for (std::int64_t c = 0; c < kBlock; c += kLanes) visit(r, c, kLanes);
    }
    return;
  }
  for (std::int64_t c = 0; c < keys; c += kLanes) {
    std::int64_t r = c / kMicroRows * kMicroRows;  // products work on groups of rows
    const std::int64_t whole = std::min(c + kLanes - 1, queries);
    for (; r < whole; ++r) visit(r, c, static_cast<int>(std::max<std::int64_t>(r + 1 - c, 0)));
    for (; r < queries; ++r) visit(r, c, kLanes);
  }
}

/// Does the same for two rows at a time: visit(r, c, seen, next) with r even, where row r + 1 may
/// see the first `next` of the same keys. If there is no row r + 1, next is 0.
template <class Visit>
inline void visit_row_pairs(std::int64_t queries, std::int64_t keys, bool diagonal, Visit visit) {
  for (std::int64_t c = 0; c < keys; c += kLanes) {
    const std::int64_t first = diagonal ? c / kMicroRows * kMicroRows : 0;
    const auto seen = [=](std::int64_t r) {
      if (r >= queries) return 0;
      if (!diagonal) return kLanes;
      return static_cast<int>(std::clamp<std::int64_t>(r + 1 - c, 0, kLanes));
    };
    for (std::int64_t r = first; r < queries; r += 2) visit(r, c, seen(r), seen(r + 1));
  }
}

// These are the three kinds of product. Operands are packed (attention_pack.h) and counted in
// cells; sums and scores are floats.

/// Sets scores[queries, 64] = rows . columns, where k is D: A by pack_rows, rows ld_rows cells
/// apart, and B by pack_columns. Scores right of the diagonal are undefined.
template <class T>
void score_tile(std::int64_t queries, std::int64_t keys, bool diagonal, std::int64_t head_width,
                const T* rows, std::int64_t ld_rows, const T* columns, float* scores) {
  const std::int64_t depth = cells<T>(head_width);
  for (std::int64_t r = 0; r < queries; r += kMicroRows) {
    const std::int64_t height = std::min<std::int64_t>(kMicroRows, queries - r);
    const std::int64_t needed = diagonal ? std::min(r + height, keys) : keys;
    for (std::int64_t c = 0; c < needed; c += kMicroColumns) {
      const std::int64_t width =
          std::min<std::int64_t>(kMicroColumns, (needed - c + kLanes - 1) / kLanes * kLanes);
      find_micro_tile<MicroA::kRows, T>(static_cast<int>(height), static_cast<int>(width))(
          depth, rows + r * ld_rows * kPerCell<T>, ld_rows * kPerCell<T>,
          columns + c * depth * kPerCell<T>, kMicroColumns, scores + r * kBlock + c, kBlock, false,
          kLanes);
    }
  }
}

/// Sets sum[queries, padded D] (+)= weights . rows, where k is the keys: A [queries, cells of 64],
/// B [cells of keys, padded D].
template <class T>
void mix_keys(std::int64_t queries, std::int64_t keys, bool diagonal, std::int64_t width,
              const T* weights, const T* rows, float* sum, bool accumulate) {
  for (std::int64_t r = 0; r < queries; r += kMicroRows) {
    const std::int64_t height = std::min<std::int64_t>(kMicroRows, queries - r);
    const std::int64_t run = diagonal ? std::min(r + height, keys) : keys;
    for (std::int64_t c = 0; c < width; c += kMicroColumns) {
      const std::int64_t columns = std::min<std::int64_t>(kMicroColumns, width - c);
      find_micro_tile<MicroA::kRows, T>(static_cast<int>(height), static_cast<int>(columns))(
          cells<T>(run), weights + r * kBlock, kBlock, rows + c * kPerCell<T>, width,
          sum + r * width + c, width, accumulate, kLanes);
    }
  }
}

/// Sets sum[keys, padded D] (+)= weights transposed . rows, where k is the queries: A [cells of
/// queries, 64 keys], B [cells of queries, padded D].
template <class T>
void mix_queries(std::int64_t queries, std::int64_t keys, bool diagonal, std::int64_t width,
                 const T* weights, const T* rows, float* sum, bool accumulate) {
  for (std::int64_t r = 0; r < keys; r += kMicroRows) {
    const std::int64_t height = std::min<std::int64_t>(kMicroRows, keys - r);
    const std::int64_t first = diagonal ? r / kPerCell<T> : 0;  // even, because kMicroRows is
    for (std::int64_t c = 0; c < width; c += kMicroColumns) {
      const std::int64_t columns = std::min<std::int64_t>(kMicroColumns, width - c);
      find_micro_tile<MicroA::kColumns, T>(static_cast<int>(height), static_cast<int>(columns))(
          cells<T>(queries) - first, weights + (first * kBlock + r) * kPerCell<T>, kBlock,
          rows + (first * width + c) * kPerCell<T>, width, sum + r * width + c, width, accumulate,
          kLanes);
    }
  }
}

}  // namespace
}  // namespace cllm
