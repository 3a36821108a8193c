// The operations of a shard program: each runs one tile. Forward and backward side by side in
// ops_*.cc. Letters: R rows of the shard, C width, F = 4C, H heads, D head width, V' vocabulary.
#pragma once

#include "model/shard_program.h"

namespace cllm {

struct ShardOps {
  ShardOps(const ShardCuts& program, const ShardData& data, const WorkerContext& worker,
           const Phase& phase);

  void run(std::int64_t tile) const;

  // ops_embed.cc
  void embed(std::int64_t tile) const;
  void embed_backward(std::int64_t tile) const;
  // ops_norm.cc
  void norm(std::int64_t tile, const float* x, std::int64_t weight, std::int64_t bias, float* out,
            float* mean, float* rstd) const;
  void norm1(std::int64_t tile, std::int64_t layer) const;
  void norm2(std::int64_t tile) const;
  void norm_final(std::int64_t tile) const;
  void norm_final_backward(std::int64_t tile) const;
  void norm2_backward(std::int64_t tile) const;
  void norm1_backward(std::int64_t tile) const;
  void vectors() const;
  // ops_linear.cc
  void qkv(std::int64_t tile) const;
  void projection(std::int64_t tile) const;
  void hidden(std::int64_t tile) const;
  void output(std::int64_t tile) const;
  void output_backward(std::int64_t tile) const;
  void product_backward(std::int64_t tile, const Grid& grid, const float* dout,
                        std::int64_t outputs, std::int64_t weight, float* dx) const;
  void weight_gradient(std::int64_t tile, const Grid& grid, const float* x, const float* dout,
                       std::int64_t weight) const;
  // ops_attention.cc
  void attention(std::int64_t tile) const;
  void attention_backward(std::int64_t tile) const;
  // ops_head.cc
  void logits(std::int64_t tile) const;
  void loss() const;
  void logit_gradient(std::int64_t tile) const;
  void feature_gradient(std::int64_t tile) const;
  void token_weight(std::int64_t tile) const;
  void sum_loss() const;
  float* chunk_logits() const noexcept;

  // Shorthand.
  const float* parameter(std::int64_t offset) const noexcept { return d.parameters + offset; }
  float* gradient(std::int64_t offset) const noexcept { return d.gradient + offset; }
  void sum_groups(std::int64_t groups, std::int64_t columns, const float* partial,
                  std::int64_t offset) const;
  Range pass_range(std::int64_t tile) const noexcept {
    const std::int64_t begin = tile * p.pass_rows;
    return {begin, std::min(R, begin + p.pass_rows)};
  }
  /// The gradient of the residual stream that enters the backward pass of layer l from above, and
  /// the one that leaves it downwards.
  float* dx_above() const noexcept { return w.dx[l % 2]; }
  float* dx_below() const noexcept { return w.dx[(l + 1) % 2]; }

  const ShardCuts& p;
  const ShardData& d;
  Workspace& w;
  const KernelTable& k;
  Gemm& gemm;
  float* scratch;
  const Phase& group;
  const std::int64_t l;  ///< layer
  const std::int64_t R, C;
  const LayerActivations& a;  ///< of layer l
  const LayerOffsets& o;      ///< of layer l
};

}  // namespace cllm
