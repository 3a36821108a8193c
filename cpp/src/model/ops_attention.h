// These operations compute causal self-attention by heads (Vaswani et al. 2017), where a head of
// keys and values may serve several heads of queries (Ainslie et al. 2023). The softmax goes by
// blocks of query rows, so that no T x T matrix of all heads exists (Dao et al. 2022).
#pragma once

#include <cmath>

#include "model/shard_ops.h"

namespace cllm {

/// Returns the arguments for head `k` of keys of sequence `s` in the buffers of a shard.
template <class T>
AttentionArgs<T> ShardOps<T>::head_args(std::int64_t s, std::int64_t k) const {
  const ModelConfig& config = cuts.config;
  const std::int64_t L = cuts.shape.length, D = config.head_width(), group = config.head_group();
  const std::int64_t Q = config.query_width(), h = k * group;
  AttentionArgs<T> args{};
  args.length = L;
  args.head_width = D;
  args.group = group;
  args.scale = 1.0f / std::sqrt(static_cast<float>(D));
  if (config.scale_by_layer) args.scale /= static_cast<float>(at_layer + 1);
  args.ld_qkv = config.qkv_width();
  const T* const row = layer_operands.qkv + s * L * args.ld_qkv;
  args.q = row + h * D;
  args.k = row + Q + k * D;
  args.v = args.k + config.key_width();
  args.out = layer_operands.attended + s * L * Q + h * D;
  args.ld_out = Q;
  args.lse = activations.lse + (s * config.heads + h) * L;
  args.scratch = scratch;
  if (data.rows.first_keys != nullptr) args.first_keys = data.rows.first_keys + s * L;
  if (drops(config.dropout.attention)) {
    args.dropout = dropout(s, config.dropout.attention, DropoutSite::kAttention, at_layer, h);
  }
  return args;
}

template <class T>
void ShardOps<T>::attention(std::int64_t tile) const {
  const std::int64_t heads = cuts.config.key_value_heads(), tiles = cuts.attention_group_tiles();
  const AttentionGroup g = cuts.attention_group(tile / tiles);
  const std::int64_t begin = tile % tiles * cuts.heads_per_tile;
  for (std::int64_t i = begin; i < std::min(g.items, begin + cuts.heads_per_tile); ++i) {
    AttentionArgs<T> args = head_args(g.sequences.begin + i / heads, i % heads);
    args.row_begin = g.block * cuts.query_rows;
    args.row_end = std::min(cuts.shape.length, args.row_begin + cuts.query_rows);
    stored_kernels.attention_forward(args);
  }
}

// A tile has all rows of a head of keys and of its queries, so it also undoes what was done to
// them.
template <class T>
void ShardOps<T>::attention_backward(std::int64_t tile) const {
  const ModelConfig& config = cuts.config;
  const std::int64_t L = cuts.shape.length, Q = config.query_width(), K = config.key_width();
  const std::int64_t W = config.qkv_width(), D = config.head_width();
  const std::int64_t s = tile / config.key_value_heads(), k = tile % config.key_value_heads();
  AttentionArgs<T> args = head_args(s, k);
  const std::int64_t queries = k * args.group * D, keys = Q + k * D;  // columns
  args.dout = operands.dattended + s * L * Q + queries;
  args.dq = operands.dqkv + s * L * W + queries;
  args.dk = operands.dqkv + s * L * W + keys;
  args.dv = args.dk + K;
  args.ld_dqkv = W;
  stored_kernels.attention_backward(args);
  if (!cuts.turns.empty()) turn_back(s, k, args);
  if (!cuts.layout->trains(parts.linear(LinearSite::kQkv).bias)) return;
  const auto sum = [&](std::int64_t columns, const T* gradient, std::int64_t at) {
    stored_kernels.column_sums(L, columns, {gradient, W}, workspace.qkv_bias + s * W + at, false);
  };
  sum(args.group * D, args.dq, queries);
  sum(D, args.dk, keys);
  sum(D, args.dv, keys + K);
}

}  // namespace cllm
