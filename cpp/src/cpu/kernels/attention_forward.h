// Causal attention of one head, forward: out = softmax(q k' / sqrt(D)) v, row by row of blocks.
#pragma once

#include <cmath>
#include <limits>

#include "cpu/kernel_table.h"
#include "cpu/kernels/attention_block.h"
#include "cpu/kernels/pack.h"

namespace cllm {
namespace {

inline std::int64_t attention_forward_floats(std::int64_t length, std::int64_t head_width) {
  const std::int64_t rows = block_count(length) * kBlock;
  return rows * (head_width + padded_width(head_width) + kBlock) +
         kBlock * (padded_width(head_width) + 2 * kLanes + 2) + 16;
}

/// row_max[queries, kLanes] = max over the keys that each query may see, lane by lane.
inline void block_max(std::int64_t queries, std::int64_t keys, bool diagonal, bool first,
                      const float* scores, float* row_max) {
  for (std::int64_t r = 0; r < queries; ++r, scores += kBlock, row_max += kLanes) {
    const std::int64_t seen = diagonal ? r + 1 : keys;
    V m = first ? set1(-std::numeric_limits<float>::infinity()) : load(row_max);
    std::int64_t c = 0;
    for (; c + kLanes <= seen; c += kLanes) m = max(m, load(scores + c));
    if (c < seen) m = max(m, first_lanes(load(scores + c), static_cast<int>(seen - c), m));
    store(row_max, m);
  }
}

/// scores = exp(scale * scores - shift[row]), exactly zero for keys that a query may not see;
/// row_sum[queries, kLanes] += the sum, lane by lane.
inline void block_exp(std::int64_t queries, std::int64_t keys, bool diagonal, float scale,
                      const float* shift, float* scores, float* row_sum) {
  const V factor = set1(scale);
  visit_scores(queries, keys, diagonal, [&](std::int64_t r, std::int64_t c, int seen) {
    float* const at = scores + r * kBlock + c;
    V p = vexp(fms(load(at), factor, set1(shift[r])));
    if (seen < kLanes) p = first_lanes(p, seen, zero());
    store(at, p);
    store(row_sum + r * kLanes, add(load(row_sum + r * kLanes), p));
  });
}

/// Scores of a whole row of blocks are kept ([64, T], in L2 for the lengths that are common), so
/// that the true maximum is known before the first exp; weights are divided by their sum only after
/// they met v, in out.
void attention_forward(const AttentionArgs& args) {
  const std::int64_t width = args.head_width;
  const std::int64_t padded = padded_width(width);
  const std::int64_t key_rows = block_count(args.length) * kBlock;
  const float scale = 1.0f / std::sqrt(static_cast<float>(width));
  ScratchParts parts(args.scratch);
  float* const keys_packed = parts.take(key_rows * width);
  float* const values = parts.take(key_rows * padded);
  float* const scores = parts.take(key_rows * kBlock);
  float* const sum = parts.take(kBlock * padded);
  float* const row_max = parts.take(kBlock * kLanes);
  float* const row_sum = parts.take(kBlock * kLanes);
  float* const shift = parts.take(kBlock);
  float* const inverse = parts.take(kBlock);

  // A block of keys or values is packed when it is first met. One block of queries meets each only
  // once, so its packed keys share one place, in L1: 16 calls of 64 rows for T = 1024, D = 64 take
  // 674 to 695 us, 706 to 719 with a place for each; one call for all rows takes 620.
  const std::int64_t place = args.row_end - args.row_begin <= kBlock ? 0 : 1;
  for (std::int64_t q = args.row_begin; q < args.row_end; q += kBlock) {
    const std::int64_t queries = std::min(kBlock, args.row_end - q);
    for (std::int64_t k = 0; k <= q; k += kBlock) {
      const bool diagonal = k == q;
      const std::int64_t keys = diagonal ? queries : kBlock;
      float* const packed = keys_packed + place * k * width;
      if (diagonal || q == args.row_begin) {
        pack_panels_transposed(width, keys, args.k + k * args.ld_qkv, args.ld_qkv, packed,
                               width * kMicroColumns);
      }
      score_tile(queries, keys, diagonal, width, args.q + q * args.ld_qkv, args.ld_qkv, packed,
                 scores + k * kBlock);
      block_max(queries, keys, diagonal, k == 0, scores + k * kBlock, row_max);
    }
    for (std::int64_t r = 0; r < queries; ++r) {
      shift[r] = scale * reduce_max(load(row_max + r * kLanes));
      store(row_sum + r * kLanes, zero());
    }
    for (std::int64_t k = 0; k <= q; k += kBlock) {
      const bool diagonal = k == q;
      const std::int64_t keys = diagonal ? queries : kBlock;
      block_exp(queries, keys, diagonal, scale, shift, scores + k * kBlock, row_sum);
      float* const packed = values + place * k * padded;
      if (diagonal || q == args.row_begin) {
        pack_rows(keys, width, args.v + k * args.ld_qkv, args.ld_qkv, packed);
      }
      mix_keys(queries, keys, diagonal, padded, scores + k * kBlock, packed, sum, k > 0);
    }
    for (std::int64_t r = 0; r < queries; ++r) {
      const float total = reduce_add(load(row_sum + r * kLanes));
      args.lse[q + r] = shift[r] + std::log(total);
      inverse[r] = 1.0f / total;
    }
    unpack_rows(queries, width, sum, inverse, 0.0f, args.out + q * args.ld_out, args.ld_out);
  }
}

}  // namespace
}  // namespace cllm
