// Causal attention, forward, computes softmax(scale q k') v of a group of heads by rows of blocks.
#pragma once

#include <cmath>
#include <limits>

#include "cpu/kernel_table.h"
#include "cpu/kernels/attention_block.h"
#include "cpu/kernels/attention_documents.h"
#include "cpu/kernels/attention_dropout.h"

namespace cllm {
namespace {

template <class T>
std::int64_t attention_forward_floats(std::int64_t length, std::int64_t head_width) {
  const std::int64_t rows = block_count(length) * kBlock;
  return rows * (cells<T>(head_width) + kBlock) + rows / kPerCell<T> * padded_width(head_width) +
         kBlock * (padded_width(head_width) + 2 * kLanes + 2) +
         kBlock * (padded_width(cells<T>(head_width)) + cells<T>(kBlock)) + 16;
}

/// Sets row_max[queries, kLanes] = max over the keys that each query may see, lane by lane.
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

/// Sets weights[queries, 64] = exp(scale * scores - shift[row]), exactly zero for keys that a query
/// may not see, and adds their sum to row_sum[queries, kLanes], lane by lane. Floats may replace
/// the scores. Dropped weights are zero too, but count in the sum.
template <class Kept, class T>
void block_exp(std::int64_t queries, std::int64_t keys, bool diagonal, float scale,
               const float* shift, const float* scores, const Kept& kept, T* weights,
               float* row_sum) {
  const V factor = set1(scale);
  // If the last key has no neighbour, a zero must stand beside it.
  visit_scores(queries, cells<T>(keys) * kPerCell<T>, diagonal,
               [&](std::int64_t r, std::int64_t c, int seen) {
                 V p = vexp(fms(load(scores + r * kBlock + c), factor, set1(shift[r])));
                 if (seen < kLanes) p = first_lanes(p, seen, zero());
                 store(weights + r * kBlock + c, kept.lanes(r, c, p));
                 store(row_sum + r * kLanes, add(load(row_sum + r * kLanes), p));
               });
}

/// The scores of a whole row of blocks are kept ([64, T], in L2 for common lengths), so that the
/// true maximum is known before the first exp. Weights are divided by their sum only after they
/// multiplied v, in out.
template <class Kept, class T>
void attention_forward_with(const AttentionArgs<T>& args) {
  constexpr bool kPairs = kPerCell<T> == 2;
  const std::int64_t width = args.head_width;
  const std::int64_t padded = padded_width(width);
  const std::int64_t depth = cells<T>(width);
  const std::int64_t key_rows = block_count(args.length) * kBlock;
  ScratchParts parts(args.scratch);
  T* const keys_packed = parts.take<T>(key_rows * depth);
  T* const values = parts.take<T>(key_rows / kPerCell<T> * padded);
  float* const scores = parts.take<float>(key_rows * kBlock);
  float* const sum = parts.take<float>(kBlock * padded);
  float* const row_max = parts.take<float>(kBlock * kLanes);
  float* const row_sum = parts.take<float>(kBlock * kLanes);
  float* const shift = parts.take<float>(kBlock);
  float* const inverse = parts.take<float>(kBlock);
  // Floats are used where they lie, and the weights replace the scores.
  [[maybe_unused]] T* query_rows = nullptr;
  [[maybe_unused]] T* weights = nullptr;
  if constexpr (kPairs) {
    query_rows = parts.take<T>(kBlock * padded_width(depth));
    weights = parts.take<T>(kBlock * cells<T>(kBlock));
  }

  // A block of keys or values is packed when it is first needed, and all heads of the group use it.
  // One block of queries of one head needs each only once, so its packed keys share one place, in
  // L1: 16 calls of 64 rows for T = 1024, D = 64 take 674 to 695 us, and 706 to 719 with a place
  // for each; one call for all rows takes 620.
  const bool once = args.row_end - args.row_begin <= kBlock && args.group == 1;
  const std::int64_t place = once ? 0 : 1;
  for (std::int64_t g = 0; g < args.group; ++g) {
    Kept kept(dropout_of_head(args.dropout, g));
    for (std::int64_t q = args.row_begin; q < args.row_end; q += kBlock) {
      const std::int64_t queries = std::min(kBlock, args.row_end - q);
      const T* rows = args.q + q * args.ld_qkv + g * width;
      std::int64_t ld_rows = args.ld_qkv;
      if constexpr (kPairs) {
        pack_rows(queries, width, rows, args.ld_qkv, query_rows);
        rows = query_rows;
        ld_rows = padded_width(depth);
      }
      const std::int64_t first = first_block(args.first_keys, q);
      const auto is_new = [&](std::int64_t k) { return g == 0 && (k == q || q == args.row_begin); };
      for (std::int64_t k = first; k <= q; k += kBlock) {
        const bool diagonal = k == q;
        const std::int64_t keys = diagonal ? queries : kBlock;
        T* const packed = keys_packed + place * k * depth * kPerCell<T>;
        if (is_new(k)) pack_columns(keys, width, args.k + k * args.ld_qkv, args.ld_qkv, packed);
        score_tile(queries, keys, diagonal, width, rows, ld_rows, packed, scores + k * kBlock);
        hide_keys(args.first_keys, q, queries, k, scores + k * kBlock);
        block_max(queries, keys, diagonal, k == first, scores + k * kBlock, row_max);
      }
      for (std::int64_t r = 0; r < queries; ++r) {
        shift[r] = args.scale * reduce_max(load(row_max + r * kLanes));
        store(row_sum + r * kLanes, zero());
      }
      for (std::int64_t k = first; k <= q; k += kBlock) {
        const bool diagonal = k == q;
        const std::int64_t keys = diagonal ? queries : kBlock;
        if constexpr (!kPairs) weights = scores + k * kBlock;
        kept.draw(q, queries, k);
        block_exp(queries, keys, diagonal, args.scale, shift, scores + k * kBlock, kept, weights,
                  row_sum);
        T* const packed = values + place * k * padded;
        if (is_new(k)) pack_keyed_rows(keys, width, args.v + k * args.ld_qkv, args.ld_qkv, packed);
        mix_keys(queries, keys, diagonal, padded, weights, packed, sum, k > first);
      }
      float* const lse = args.lse + g * args.length + q;
      for (std::int64_t r = 0; r < queries; ++r) {
        const float total = reduce_add(load(row_sum + r * kLanes));
        lse[r] = shift[r] + std::log(total);
        inverse[r] = kept.scale() / total;
      }
      unpack_rows(queries, width, sum, inverse, 0.0f, args.out + q * args.ld_out + g * width,
                  args.ld_out);
    }
  }
}

template <class T>
void attention_forward(const AttentionArgs<T>& args) {
  if (args.dropout.threshold == 0) return attention_forward_with<AllKept>(args);
  attention_forward_with<SomeKept>(args);
}

}  // namespace
}  // namespace cllm
