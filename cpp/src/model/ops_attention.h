// Causal self-attention by heads (Vaswani et al. 2017), with the softmax by blocks of query rows so
// that no T x T matrix of all heads exists (Dao et al. 2022).
#pragma once

#include "model/shard_ops.h"

namespace cllm {
/// The head `h` of sequence `s` inside the buffers of a shard.
template <class T>
AttentionArgs<T> ShardOps<T>::head_args(std::int64_t s, std::int64_t h) const {
  const std::int64_t L = p.shape.length, D = p.config.head_width();
  AttentionArgs<T> args{};
  args.length = L;
  args.head_width = D;
  args.q = own.qkv + s * L * 3 * C + h * D;
  args.k = args.q + C;
  args.v = args.q + 2 * C;
  args.ld_qkv = 3 * C;
  args.out = own.attended + s * L * C + h * D;
  args.ld_out = C;
  args.lse = a.lse + (s * p.config.heads + h) * L;
  args.scratch = scratch;
  if (drops(p.config.dropout.attention)) {
    args.dropout = dropout(s, p.config.dropout.attention, DropoutSite::kAttention, l, h);
  }
  return args;
}

template <class T>
void ShardOps<T>::attention(std::int64_t tile) const {
  const std::int64_t H = p.config.heads, tiles = p.attention_group_tiles();
  const AttentionGroup g = p.attention_group(tile / tiles);
  const std::int64_t begin = tile % tiles * p.heads_per_tile;
  for (std::int64_t i = begin; i < std::min(g.items, begin + p.heads_per_tile); ++i) {
    AttentionArgs<T> args = head_args(g.sequences.begin + i / H, i % H);
    args.row_begin = g.block * p.query_rows;
    args.row_end = std::min(p.shape.length, args.row_begin + p.query_rows);
    ka.attention_forward(args);
  }
}

template <class T>
void ShardOps<T>::attention_backward(std::int64_t tile) const {
  const std::int64_t H = p.config.heads, L = p.shape.length, D = p.config.head_width();
  const std::int64_t s = tile / H, h = tile % H;
  AttentionArgs<T> args = head_args(s, h);
  args.dout = ops.dattended + s * L * C + h * D;
  args.dq = ops.dqkv + s * L * 3 * C + h * D;
  args.dk = args.dq + C;
  args.dv = args.dq + 2 * C;
  args.ld_dqkv = 3 * C;
  ka.attention_backward(args);
  for (std::int64_t part = 0; part < 3; ++part) {
    ka.column_sums(L, D, args.dq + part * C, 3 * C, w.qkv_bias + s * 3 * C + part * C + h * D,
                   false);
  }
}

}  // namespace cllm
