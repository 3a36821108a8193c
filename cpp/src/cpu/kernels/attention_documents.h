// Attention stays inside documents: a sequence may hold several, and each query has a first key.
#pragma once

#include <limits>

#include "cpu/kernels/attention_pack.h"

namespace cllm {
namespace {

// Documents lie one after another, so first keys never fall along the queries. Blocks of keys that
// lie before the first key of a block's first query are left out. In the others, hidden keys have
// the score -inf: their weights are exactly 0, so that sums over keys, and over queries, have the
// bits that they have with any other neighbours, or with none.

/// Returns the first key of the block of keys that queries from q on meet first.
inline std::int64_t first_block(const std::int32_t* first_keys, std::int64_t q) {
  return first_keys == nullptr ? 0 : first_keys[q] / kBlock * kBlock;
}

/// Makes the scores[queries, 64] -inf where query q + r may not see key k + c, for lying before its
/// document.
inline void hide_keys(const std::int32_t* first_keys, std::int64_t q, std::int64_t queries,
                      std::int64_t k, float* scores) {
  if (first_keys == nullptr || first_keys[q + queries - 1] <= k) return;
  for (std::int64_t r = 0; r < queries; ++r, scores += kBlock) {
    const std::int64_t hidden = std::min(first_keys[q + r] - k, kBlock);
    for (std::int64_t c = 0; c < hidden; ++c) scores[c] = -std::numeric_limits<float>::infinity();
  }
}

}  // namespace
}  // namespace cllm
