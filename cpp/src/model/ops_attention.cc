// Causal self-attention by heads (Vaswani et al. 2017), with the softmax by blocks of query rows so
// that no T x T matrix of all heads exists (Dao et al. 2022).
#include "model/shard_ops.h"

namespace cllm {
namespace {

/// The head `h` of sequence `s` inside the buffers of a shard.
AttentionArgs<float> head_args(const ShardOps& op, std::int64_t s, std::int64_t h) {
  const std::int64_t T = op.p.shape.length, D = op.p.config.head_width(), C = op.C;
  AttentionArgs<float> args{};
  args.length = T;
  args.head_width = D;
  const float* qkv = op.a.qkv + s * T * 3 * C + h * D;
  args.q = qkv;
  args.k = qkv + C;
  args.v = qkv + 2 * C;
  args.ld_qkv = 3 * C;
  args.out = op.a.attended + s * T * C + h * D;
  args.ld_out = C;
  args.lse = op.a.lse + (s * op.p.config.heads + h) * T;
  args.scratch = op.scratch;
  return args;
}

}  // namespace

void ShardOps::attention(std::int64_t tile) const {
  const std::int64_t H = p.config.heads, tiles = p.attention_group_tiles();
  const AttentionGroup g = p.attention_group(tile / tiles);
  const std::int64_t begin = tile % tiles * p.heads_per_tile;
  for (std::int64_t i = begin; i < std::min(g.items, begin + p.heads_per_tile); ++i) {
    AttentionArgs<float> args = head_args(*this, g.sequences.begin + i / H, i % H);
    args.row_begin = g.block * p.query_rows;
    args.row_end = std::min(p.shape.length, args.row_begin + p.query_rows);
    k.attention_forward(args);
  }
}

void ShardOps::attention_backward(std::int64_t tile) const {
  const std::int64_t H = p.config.heads, T = p.shape.length, D = p.config.head_width();
  const std::int64_t s = tile / H, h = tile % H;
  AttentionArgs<float> args = head_args(*this, s, h);
  args.dout = w.dnorm + s * T * C + h * D;
  args.dq = w.dqkv + s * T * 3 * C + h * D;
  args.dk = args.dq + C;
  args.dv = args.dq + 2 * C;
  args.ld_dqkv = 3 * C;
  k.attention_backward(args);
  for (std::int64_t part = 0; part < 3; ++part) {
    k.column_sums(T, D, args.dq + part * C, 3 * C, w.qkv_bias + s * 3 * C + part * C + h * D,
                  false);
  }
}

}  // namespace cllm
