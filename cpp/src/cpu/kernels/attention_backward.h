// Causal attention, backward, makes the gradients of q, k and v from that of out.
#pragma once

#include "cpu/kernel_table.h"
#include "cpu/kernels/attention_block.h"
#include "cpu/kernels/attention_documents.h"
#include "cpu/kernels/attention_dropout.h"

namespace cllm {
namespace {

template <class T>
std::int64_t attention_backward_floats(std::int64_t length, std::int64_t head_width,
                                       std::int64_t group) {
  const std::int64_t rows = block_count(length) * kBlock, padded = padded_width(head_width);
  const std::int64_t operands =
      kPerCell<T> == 1 ? 2 * padded : 2 * padded_width(cells<T>(head_width)) + padded;
  return group * rows * (operands + padded + 1) +
         kBlock * (3 * padded + 2 * head_width + 2 * kBlock + 3 * kBlock / 2) + 32;
}

/// Sets delta[rows] = sum over D of out * dout; the softmax subtracts it from every dP of a row.
template <class T>
void output_dots(std::int64_t rows, std::int64_t head_width, const T* out, const T* dout,
                 std::int64_t ld_out, float* delta) {
  for (std::int64_t r = 0; r < rows; ++r, out += ld_out, dout += ld_out) {
    V sum = zero();
    std::int64_t c = 0;
    for (; c + kLanes <= head_width; c += kLanes) sum = fma(load(out + c), load(dout + c), sum);
    if (c < head_width) {
      const int tail = static_cast<int>(head_width - c);
      sum = fma(load_partial(out + c, tail), load_partial(dout + c, tail), sum);
    }
    delta[r] = reduce_add(sum);
  }
}

/// Computes P of a vector of scores, and dscores = P * (dweights - delta); both are exactly zero
/// for keys that the query may not see. P is what is left after dropout, and dweights the gradient
/// that comes back through it: delta, the sum of P * dweights, equals that of out * dout with
/// dropout too.
template <class Kept>
inline void gradient_of_scores(V factor, float lse, float delta, int seen, const float* score,
                               const float* dweight, const Kept& kept, std::int64_t r,
                               std::int64_t c, V& p, V& d) {
  p = vexp(fms(load(score), factor, set1(lse)));
  d = mul(p, kept.minus(r, c, load(dweight), set1(delta)));
  p = kept.lanes(r, c, p);
  if (seen < kLanes) {
    p = first_lanes(p, seen, zero());
    d = first_lanes(d, seen, zero());
  }
}

/// Holds what a block leaves for its three products: A by queries for dq, by keys for dk and dv.
template <class T>
struct BlockWeights {
  T* weights;       ///< P [cells of queries, 64]
  T* dscores;       ///< [cells of queries, 64]
  T* dscores_rows;  ///< [queries, cells of 64]
};

/// With floats, the results replace the scores and the gradients of the weights.
template <class Kept>
inline void block_gradient(std::int64_t queries, std::int64_t keys, bool diagonal, float scale,
                           const float* lse, const float* delta, const float* scores,
                           const float* dweights, const Kept& kept, const BlockWeights<float>& to) {
  const V factor = set1(scale);
  visit_scores(queries, keys, diagonal, [&](std::int64_t r, std::int64_t c, int seen) {
    const std::int64_t at = r * kBlock + c;
    V p, d;
    gradient_of_scores(factor, lse[r], delta[r], seen, scores + at, dweights + at, kept, r, c, p,
                       d);
    store(to.weights + at, p);
    store(to.dscores + at, d);
  });
}

template <class Kept>
inline void block_gradient(std::int64_t queries, std::int64_t keys, bool diagonal, float scale,
                           const float* lse, const float* delta, const float* scores,
                           const float* dweights, const Kept& kept, const BlockWeights<Bf16>& to) {
  const V factor = set1(scale);
  // If the last key has no neighbour, a zero must stand beside it.
  visit_row_pairs(queries, (keys + 1) / 2 * 2, diagonal,
                  [&](std::int64_t r, std::int64_t c, int seen, int next) {
                    const std::int64_t at = r * kBlock + c;
                    V p0, d0, p1 = zero(), d1 = zero();
                    gradient_of_scores(factor, lse[r], delta[r], seen, scores + at, dweights + at,
                                       kept, r, c, p0, d0);
                    store(to.dscores_rows + at, d0);
                    if (r + 1 < queries) {
                      gradient_of_scores(factor, lse[r + 1], delta[r + 1], next,
                                         scores + at + kBlock, dweights + at + kBlock, kept, r + 1,
                                         c, p1, d1);
                      store(to.dscores_rows + at + kBlock, d1);
                    }
                    const std::int64_t pair = r * kBlock + 2 * c;
                    store_pairs(to.weights + pair, zip(p0, p1));
                    store_pairs(to.dscores + pair, zip(d0, d1));
                  });
}

/// The outer loop is over keys, the inner ones over heads and queries. What is packed of k and v,
/// and the sums for dk and dv, belong to one block and stay in L1 and L2; q, dout and the sum for
/// dq (3 T D floats a head) stream by. The other way round, five matrices of T D floats would
/// stream.
template <class Kept, class T>
void attention_backward_with(const AttentionArgs<T>& args) {
  constexpr bool kPairs = kPerCell<T> == 2;
  constexpr std::int64_t kStep = kPerCell<T>;
  const std::int64_t width = args.head_width, group = args.group;
  const std::int64_t padded = padded_width(width), ld_rows = padded_width(cells<T>(width));
  const std::int64_t rows = block_count(args.length) * kBlock;
  // The heads of the group lie one after another in these; a cell of T is kStep numbers.
  const std::int64_t of_rows = rows * ld_rows * kStep, of_keyed = rows * padded;
  ScratchParts parts(args.scratch);
  T* const q_rows = parts.take<T>(group * rows * ld_rows);
  T* const dout_rows = parts.take<T>(group * rows * ld_rows);
  float* const dq = parts.take<float>(group * of_keyed);
  float* const delta = parts.take<float>(group * rows);
  T* const k_keyed = parts.take<T>(kBlock / kStep * padded);
  T* const k_columns = parts.take<T>(kBlock * cells<T>(width));
  T* const v_columns = parts.take<T>(kBlock * cells<T>(width));
  float* const dk = parts.take<float>(kBlock * padded);
  float* const dv = parts.take<float>(kBlock * padded);
  float* const scores = parts.take<float>(kBlock * kBlock);
  float* const dweights = parts.take<float>(kBlock * kBlock);
  T *q_keyed = q_rows, *dout_keyed = dout_rows;
  BlockWeights<T> block;
  if constexpr (kPairs) {
    q_keyed = parts.take<T>(group * rows / kStep * padded);
    dout_keyed = parts.take<T>(group * rows / kStep * padded);
    block.weights = parts.take<T>(kBlock * kBlock / kStep);
    block.dscores = parts.take<T>(kBlock * kBlock / kStep);
    block.dscores_rows = parts.take<T>(kBlock * kBlock / kStep);
  } else {
    block = {scores, dweights, dweights};
  }
  for (std::int64_t g = 0; g < group; ++g) {
    const T* const q = args.q + g * width;
    const T* const dout = args.dout + g * width;
    pack_rows(args.length, width, q, args.ld_qkv, q_rows + g * of_rows);
    pack_rows(args.length, width, dout, args.ld_out, dout_rows + g * of_rows);
    if constexpr (kPairs) {
      pack_keyed_rows(args.length, width, q, args.ld_qkv, q_keyed + g * of_keyed);
      pack_keyed_rows(args.length, width, dout, args.ld_out, dout_keyed + g * of_keyed);
    }
    output_dots(args.length, width, args.out + g * width, dout, args.ld_out, delta + g * rows);
  }

  for (std::int64_t j = 0; j < args.length; j += kBlock) {
    const std::int64_t keys = std::min(kBlock, args.length - j);
    const T* const block_k = args.k + j * args.ld_qkv;
    const T* const block_v = args.v + j * args.ld_qkv;
    pack_keyed_rows(keys, width, block_k, args.ld_qkv, k_keyed);
    pack_columns(keys, width, block_k, args.ld_qkv, k_columns);
    pack_columns(keys, width, block_v, args.ld_qkv, v_columns);
    for (std::int64_t g = 0; g < group; ++g) {
      Kept kept(dropout_of_head(args.dropout, g));
      const float* const lse = args.lse + g * args.length;
      for (std::int64_t i = j; i < args.length; i += kBlock) {
        const std::int64_t first = first_block(args.first_keys, i);
        if (first > j) break;  // and later queries begin no earlier
        const std::int64_t queries = std::min(kBlock, args.length - i);
        const bool diagonal = i == j, adds = g > 0 || !diagonal;
        const std::int64_t row = g * of_rows + i * ld_rows * kStep;
        const std::int64_t keyed = g * of_keyed + i * padded;
        score_tile(queries, keys, diagonal, width, q_rows + row, ld_rows, k_columns, scores);
        score_tile(queries, keys, diagonal, width, dout_rows + row, ld_rows, v_columns, dweights);
        hide_keys(args.first_keys, i, queries, j, scores);
        kept.draw(i, queries, j);
        block_gradient(queries, keys, diagonal, args.scale, lse + i, delta + g * rows + i, scores,
                       dweights, kept, block);
        mix_queries(queries, keys, diagonal, padded, block.weights, dout_keyed + keyed, dv, adds);
        mix_queries(queries, keys, diagonal, padded, block.dscores, q_keyed + keyed, dk, adds);
        mix_keys(queries, keys, diagonal, padded, block.dscores_rows, k_keyed, dq + keyed,
                 j > first);
      }
    }
    unpack_rows(keys, width, dk, nullptr, args.scale, args.dk + j * args.ld_dqkv, args.ld_dqkv);
    unpack_rows(keys, width, dv, nullptr, Kept(args.dropout).scale(), args.dv + j * args.ld_dqkv,
                args.ld_dqkv);
  }
  for (std::int64_t g = 0; g < group; ++g) {
    unpack_rows(args.length, width, dq + g * of_keyed, nullptr, args.scale, args.dq + g * width,
                args.ld_dqkv);
  }
}

template <class T>
void attention_backward(const AttentionArgs<T>& args) {
  if (args.dropout.threshold == 0) return attention_backward_with<AllKept>(args);
  attention_backward_with<SomeKept>(args);
}

}  // namespace
}  // namespace cllm
