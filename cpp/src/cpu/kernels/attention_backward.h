// Causal attention of one head, backward: gradients of q, k and v from that of out.
#pragma once

#include <cmath>

#include "cpu/kernel_table.h"
#include "cpu/kernels/attention_block.h"
#include "cpu/kernels/pack.h"

namespace cllm {
namespace {

inline std::int64_t attention_backward_floats(std::int64_t length, std::int64_t head_width) {
  const std::int64_t rows = block_count(length) * kBlock;
  return rows * (3 * padded_width(head_width) + 1) +
         kBlock * (3 * padded_width(head_width) + 2 * head_width + 2 * kBlock) + 16;
}

/// delta[rows] = sum over D of out * dout: what the softmax takes off every dP of a row.
inline void output_dots(std::int64_t rows, std::int64_t head_width, const float* out,
                        const float* dout, std::int64_t ld_out, float* delta) {
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

/// weights = P = exp(scale * scores - lse) in place of scores, dscores = P * (dweights - delta) in
/// place of dweights; both exactly zero for keys that a query may not see.
inline void block_gradient(std::int64_t queries, std::int64_t keys, bool diagonal, float scale,
                           const float* lse, const float* delta, float* scores, float* dweights) {
  const V factor = set1(scale);
  visit_scores(queries, keys, diagonal, [&](std::int64_t r, std::int64_t c, int seen) {
    float* const weight = scores + r * kBlock + c;
    float* const dscore = dweights + r * kBlock + c;
    V p = vexp(fms(load(weight), factor, set1(lse[r])));
    V d = mul(p, sub(load(dscore), set1(delta[r])));
    if (seen < kLanes) {
      p = first_lanes(p, seen, zero());
      d = first_lanes(d, seen, zero());
    }
    store(weight, p);
    store(dscore, d);
  });
}

/// Keys outside, queries inside: what is packed of k and v, and the sums for dk and dv, are one
/// block's and stay in L1 and L2; q, dout and the sum for dq (3 T D floats) stream by. The other
/// way round, five matrices of T D floats would.
void attention_backward(const AttentionArgs& args) {
  const std::int64_t width = args.head_width;
  const std::int64_t padded = padded_width(width);
  const std::int64_t rows = block_count(args.length) * kBlock;
  const float scale = 1.0f / std::sqrt(static_cast<float>(width));
  ScratchParts parts(args.scratch);
  float* const q = parts.take(rows * padded);
  float* const dout = parts.take(rows * padded);
  float* const dq = parts.take(rows * padded);
  float* const delta = parts.take(rows);
  float* const k_rows = parts.take(kBlock * padded);
  float* const k_columns = parts.take(kBlock * width);
  float* const v_columns = parts.take(kBlock * width);
  float* const dk = parts.take(kBlock * padded);
  float* const dv = parts.take(kBlock * padded);
  float* const weights = parts.take(kBlock * kBlock);
  float* const dscores = parts.take(kBlock * kBlock);

  pack_rows(args.length, width, args.q, args.ld_qkv, q);
  pack_rows(args.length, width, args.dout, args.ld_out, dout);
  output_dots(args.length, width, args.out, args.dout, args.ld_out, delta);
  for (std::int64_t j = 0; j < args.length; j += kBlock) {
    const std::int64_t keys = std::min(kBlock, args.length - j);
    const float* const block_k = args.k + j * args.ld_qkv;
    const float* const block_v = args.v + j * args.ld_qkv;
    pack_rows(keys, width, block_k, args.ld_qkv, k_rows);
    pack_panels_transposed(width, keys, block_k, args.ld_qkv, k_columns, width * kMicroColumns);
    pack_panels_transposed(width, keys, block_v, args.ld_qkv, v_columns, width * kMicroColumns);
    for (std::int64_t i = j; i < args.length; i += kBlock) {
      const std::int64_t queries = std::min(kBlock, args.length - i);
      const bool diagonal = i == j;
      const float* const block_q = q + i * padded;
      const float* const block_dout = dout + i * padded;
      score_tile(queries, keys, diagonal, width, block_q, padded, k_columns, weights);
      score_tile(queries, keys, diagonal, width, block_dout, padded, v_columns, dscores);
      block_gradient(queries, keys, diagonal, scale, args.lse + i, delta + i, weights, dscores);
      mix_queries(queries, keys, diagonal, padded, weights, block_dout, dv, !diagonal);
      mix_queries(queries, keys, diagonal, padded, dscores, block_q, dk, !diagonal);
      mix_keys(queries, keys, diagonal, padded, dscores, k_rows, dq + i * padded, j > 0);
    }
    unpack_rows(keys, width, dk, nullptr, scale, args.dk + j * args.ld_dqkv, args.ld_dqkv);
    unpack_rows(keys, width, dv, nullptr, 1.0f, args.dv + j * args.ld_dqkv, args.ld_dqkv);
  }
  unpack_rows(args.length, width, dq, nullptr, scale, args.dq, args.ld_dqkv);
}

}  // namespace
}  // namespace cllm
