// The steps that causal attention, forward and backward, is made of: 64 queries meet 64 keys.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cpu/kernels/micro.h"
#include "cpu/kernels/vec.h"

namespace cllm {
namespace {

// Queries and keys are cut in blocks of 64 that start at multiples of 64, whatever the call, so
// that the order of every sum is a fact of the row. A 64 x 64 tile of scores is 16 KiB: it stays in
// L1 from the product that makes it to the products that use it. Blocks of 128 are equally fast at
// D = 64 and 1 to 3 % slower at D = 32.
constexpr std::int64_t kBlock = 64;
static_assert(kBlock % kMicroColumns == 0);

/// Floats between rows of packed [*, D] matrices: whole vectors, so that no tile has a tail.
constexpr std::int64_t padded_width(std::int64_t head_width) {
  return (head_width + kLanes - 1) / kLanes * kLanes;
}
constexpr std::int64_t block_count(std::int64_t length) { return (length + kBlock - 1) / kBlock; }

/// Parts of the scratch, each on a cache line of its own.
class ScratchParts {
 public:
  explicit ScratchParts(float* scratch)
      : next_(scratch +
              (64 - reinterpret_cast<std::uintptr_t>(scratch) % 64) % 64 / sizeof(float)) {}
  float* take(std::int64_t floats) {
    float* const part = next_;
    next_ += rounded(floats);
    return part;
  }
  static constexpr std::int64_t rounded(std::int64_t floats) { return (floats + 15) / 16 * 16; }

 private:
  float* next_;
};

/// to[rows, padded D] = from[rows, D], zeros beyond D.
inline void pack_rows(std::int64_t rows, std::int64_t head_width, const float* from,
                      std::int64_t ld_from, float* to) {
  for (std::int64_t r = 0; r < rows; ++r, from += ld_from) {
    std::int64_t c = 0;
    for (; c + kLanes <= head_width; c += kLanes, to += kLanes) store(to, load(from + c));
    if (c < head_width) {
      store(to, load_partial(from + c, static_cast<int>(head_width - c)));
      to += kLanes;
    }
  }
}

/// to[rows, D] = factor * from[rows, padded D]; row r has factors[r], or `factor` when null.
inline void unpack_rows(std::int64_t rows, std::int64_t head_width, const float* from,
                        const float* factors, float factor, float* to, std::int64_t ld_to) {
  for (std::int64_t r = 0; r < rows; ++r, to += ld_to) {
    const V f = set1(factors != nullptr ? factors[r] : factor);
    std::int64_t c = 0;
    for (; c + kLanes <= head_width; c += kLanes, from += kLanes) {
      store(to + c, mul(f, load(from)));
    }
    if (c < head_width) {
      store_partial(to + c, mul(f, load(from)), static_cast<int>(head_width - c));
      from += kLanes;
    }
  }
}

// The three kinds of product. On a diagonal block (queries and keys of the same 64 positions) query
// r meets keys 0..r only; what lies beyond is left out by groups of kMicroRows, which saves 34 to
// 45 % of a block. `queries` and `keys` are the rows that exist: equal on the diagonal, where the
// last block may have fewer than 64 of both, while off the diagonal all 64 keys are there.

/// Calls visit(row, c, seen) for each vector of scores that a later product reads: keys c to
/// c + kLanes - 1 of `row`, of which the query may see the first `seen`. The vectors of a row come
/// in the order of c. A diagonal block is visited down its columns, in loops of many equal steps:
/// its rows are one to four vectors long, and exp cost as much there as in a whole block.
template <class Visit>
inline void visit_scores(std::int64_t queries, std::int64_t keys, bool diagonal, Visit visit) {
  if (!diagonal) {
    for (std::int64_t r = 0; r < queries; ++r) {
      for (std::int64_t c = 0; c < kBlock; c += kLanes) visit(r, c, kLanes);
    }
    return;
  }
  for (std::int64_t c = 0; c < keys; c += kLanes) {
    std::int64_t r = c / kMicroRows * kMicroRows;  // the products go by groups of rows
    const std::int64_t whole = std::min(c + kLanes - 1, queries);
    for (; r < whole; ++r) visit(r, c, static_cast<int>(std::max<std::int64_t>(r + 1 - c, 0)));
    for (; r < queries; ++r) visit(r, c, kLanes);
  }
}

/// scores[queries, 64] = rows[queries, D] . columns, the latter packed by pack_panels_transposed.
/// Right of the diagonal, scores are left undefined.
inline void score_tile(std::int64_t queries, std::int64_t keys, bool diagonal,
                       std::int64_t head_width, const float* rows, std::int64_t ld_rows,
                       const float* columns, float* scores) {
  for (std::int64_t r = 0; r < queries; r += kMicroRows) {
    const std::int64_t height = std::min<std::int64_t>(kMicroRows, queries - r);
    const std::int64_t needed = diagonal ? std::min(r + height, keys) : keys;
    for (std::int64_t c = 0; c < needed; c += kMicroColumns) {
      const std::int64_t width =
          std::min<std::int64_t>(kMicroColumns, (needed - c + kLanes - 1) / kLanes * kLanes);
      find_micro_tile<MicroA::kRows>(static_cast<int>(height), static_cast<int>(width))(
          head_width, rows + r * ld_rows, ld_rows, columns + c * head_width, kMicroColumns,
          scores + r * kBlock + c, kBlock, false, kLanes);
    }
  }
}

/// sum[queries, padded D] (+)= weights[queries, 64] . rows[keys, padded D]
inline void mix_keys(std::int64_t queries, std::int64_t keys, bool diagonal, std::int64_t width,
                     const float* weights, const float* rows, float* sum, bool accumulate) {
  for (std::int64_t r = 0; r < queries; r += kMicroRows) {
    const std::int64_t height = std::min<std::int64_t>(kMicroRows, queries - r);
    const std::int64_t run = diagonal ? std::min(r + height, keys) : keys;
    for (std::int64_t c = 0; c < width; c += kMicroColumns) {
      const std::int64_t columns = std::min<std::int64_t>(kMicroColumns, width - c);
      find_micro_tile<MicroA::kRows>(static_cast<int>(height), static_cast<int>(columns))(
          run, weights + r * kBlock, kBlock, rows + c, width, sum + r * width + c, width,
          accumulate, kLanes);
    }
  }
}

/// sum[keys, padded D] (+)= weights[queries, 64] transposed . rows[queries, padded D]
inline void mix_queries(std::int64_t queries, std::int64_t keys, bool diagonal, std::int64_t width,
                        const float* weights, const float* rows, float* sum, bool accumulate) {
  for (std::int64_t r = 0; r < keys; r += kMicroRows) {
    const std::int64_t height = std::min<std::int64_t>(kMicroRows, keys - r);
    const std::int64_t first = diagonal ? r : 0;
    for (std::int64_t c = 0; c < width; c += kMicroColumns) {
      const std::int64_t columns = std::min<std::int64_t>(kMicroColumns, width - c);
      find_micro_tile<MicroA::kColumns>(static_cast<int>(height), static_cast<int>(columns))(
          queries - first, weights + first * kBlock + r, kBlock, rows + first * width + c, width,
          sum + r * width + c, width, accumulate, kLanes);
    }
  }
}

}  // namespace
}  // namespace cllm
