// These operations compute causal self-attention by heads (Vaswani et al. 2017). The softmax goes
// by blocks of query rows, so that no T x T matrix of all heads exists (Dao et al. 2022).
#pragma once

#include <cmath>

#include "model/shard_ops.h"

namespace cllm {
/// Returns the arguments for head `h` of sequence `s` in the buffers of a shard.
template <class T>
AttentionArgs<T> ShardOps<T>::head_args(std::int64_t s, std::int64_t h) const {
  const std::int64_t L = cuts.shape.length, D = cuts.config.head_width();
  AttentionArgs<T> args{};
  args.length = L;
  args.head_width = D;
  args.group = 1;
  args.scale = 1.0f / std::sqrt(static_cast<float>(D));
  args.q = layer_operands.qkv + s * L * 3 * C + h * D;
  args.k = args.q + C;
  args.v = args.q + 2 * C;
  args.ld_qkv = 3 * C;
  args.out = layer_operands.attended + s * L * C + h * D;
  args.ld_out = C;
  args.lse = activations.lse + (s * cuts.config.heads + h) * L;
  args.scratch = scratch;
  if (drops(cuts.config.dropout.attention)) {
    args.dropout = dropout(s, cuts.config.dropout.attention, DropoutSite::kAttention, at_layer, h);
  }
  return args;
}

template <class T>
void ShardOps<T>::attention(std::int64_t tile) const {
  const std::int64_t H = cuts.config.heads, tiles = cuts.attention_group_tiles();
  const AttentionGroup g = cuts.attention_group(tile / tiles);
  const std::int64_t begin = tile % tiles * cuts.heads_per_tile;
  for (std::int64_t i = begin; i < std::min(g.items, begin + cuts.heads_per_tile); ++i) {
    AttentionArgs<T> args = head_args(g.sequences.begin + i / H, i % H);
    args.row_begin = g.block * cuts.query_rows;
    args.row_end = std::min(cuts.shape.length, args.row_begin + cuts.query_rows);
    stored_kernels.attention_forward(args);
  }
}

template <class T>
void ShardOps<T>::attention_backward(std::int64_t tile) const {
  const std::int64_t H = cuts.config.heads, L = cuts.shape.length, D = cuts.config.head_width();
  const std::int64_t s = tile / H, h = tile % H;
  AttentionArgs<T> args = head_args(s, h);
  args.dout = operands.dattended + s * L * C + h * D;
  args.dq = operands.dqkv + s * L * 3 * C + h * D;
  args.dk = args.dq + C;
  args.dv = args.dq + 2 * C;
  args.ld_dqkv = 3 * C;
  stored_kernels.attention_backward(args);
  for (std::int64_t part = 0; part < 3; ++part) {
    stored_kernels.column_sums(L, D, {args.dq + part * C, 3 * C},
                               workspace.qkv_bias + s * 3 * C + part * C + h * D, false);
  }
}

}  // namespace cllm
