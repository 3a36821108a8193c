// The operations of a shard program: each runs one tile. Forward and backward side by side in
// ops_*.h, which shard_ops.cc puts together. Letters: R rows of the shard, C width, F = 4C, H
// heads, D head width, V' vocabulary.
#pragma once

#include <type_traits>

#include "model/shard_program.h"

namespace cllm {

/// T: what the operands of products are stored as.
template <class T>
struct ShardOps {
  ShardOps(const ShardCuts& program, const ShardData& data, const WorkerContext& worker,
           const Phase& phase);

  void run(std::int64_t tile) const;

  // ops_embed.h
  void embed(std::int64_t tile) const;
  void embed_backward(std::int64_t tile) const;
  // ops_norm.h
  void norm(std::int64_t tile, const float* x, std::int64_t weight, std::int64_t bias, T* out,
            float* mean, float* rstd) const;
  void norm1(std::int64_t tile, std::int64_t layer) const;
  void norm2(std::int64_t tile) const;
  void norm_final(std::int64_t tile) const;
  void norm_final_backward(std::int64_t tile) const;
  void norm2_backward(std::int64_t tile) const;
  void norm1_backward(std::int64_t tile) const;
  void vectors() const;
  // ops_linear.h
  void qkv(std::int64_t tile) const;
  void projection(std::int64_t tile) const;
  void hidden(std::int64_t tile) const;
  void output(std::int64_t tile) const;
  void output_backward(std::int64_t tile) const;
  void projection_backward(std::int64_t tile) const;
  void norm_gradient(std::int64_t tile, const Grid& grid, const T* dout, std::int64_t outputs,
                     std::int64_t weight) const;
  void weight_gradient(std::int64_t tile, const Grid& grid, const T* x, const T* dout,
                       std::int64_t weight) const;
  // ops_dropout.h
  bool drops(double rate) const noexcept { return d.dropout != nullptr && rate > 0; }
  Dropout dropout(std::int64_t s, double rate, DropoutSite site, std::int64_t layer,
                  std::int64_t head) const;
  template <class Body>
  void by_sequence(const Range& rows, double rate, DropoutSite site, std::int64_t layer,
                   Body body) const;
  void add_residual(const Range& m, const Range& n, std::int64_t bias, const float* residual,
                    DropoutSite site, float* x) const;
  void hand_down(const Range& rows, const float* dx, DropoutSite site, std::int64_t layer,
                 T* operand, float* sums) const;
  void drop_embedding(const Range& rows, float* x) const;
  // ops_attention.h
  AttentionArgs<T> head_args(std::int64_t s, std::int64_t h) const;
  void attention(std::int64_t tile) const;
  void attention_backward(std::int64_t tile) const;
  // ops_head.h
  void logits(std::int64_t tile) const;
  void loss() const;
  void logit_gradient(std::int64_t tile) const;
  void feature_gradient(std::int64_t tile) const;
  void token_weight(std::int64_t tile) const;
  void sum_loss() const;
  void combine_blocks(std::int64_t begin, std::int64_t rows, float* lse) const;
  float* chunk_logits() const noexcept;

  // Shorthand.
  /// By a weight, which is stored as floats.
  void multiply_weight(const GemmArgsOf<T, float>& args) const {
    if (d.packed == nullptr) return gemm.run(args);
    gemm.run(PackedGemmArgs<T>{args.m, args.n, args.k, args.a, args.lda,
                               d.packed->panels<T>(args.form, args.b - d.parameters), args.c,
                               args.ldc, args.accumulate});
  }
  void multiply(const GemmArgsOf<T, T>& args) const { gemm.run(args); }
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

  /// The same as operands.
  const T* dx_operand() const noexcept { return ops.dx[l % 2]; }
  /// Where a norm's pass writes what it also writes as floats: nowhere when that is the same
  /// memory, or when it is dropped first.
  T* copy_of(T* operand) const noexcept {
    return kFloat || drops(p.config.dropout.residual) ? nullptr : operand;
  }
  /// The gradients of a chunk's logits, rows kLogitStep * V' apart.
  T* logit_gradients() const noexcept { return reinterpret_cast<T*>(w.logits); }

  /// Where a product's floats go that will be stored at `out`: there, or into scratch.
  struct ProductTile {
    float* data;
    std::int64_t ld;
  };
  ProductTile product_tile(T* out, std::int64_t ld_out, const Range& columns) const noexcept {
    if constexpr (kFloat) return {out, ld_out};
    return {scratch, columns.size()};
  }

  static constexpr bool kFloat = std::is_same_v<T, float>;
  static constexpr std::int64_t kLogitStep = kPerFloat<T>;

  const ShardCuts& p;
  const ShardData& d;
  Workspace& w;
  const Operands<T>& ops;
  const KernelTable& k;
  const ActivationKernels<T>& ka;
  Gemm& gemm;
  float* scratch;
  const Phase& group;
  const std::int64_t l;  ///< layer
  const std::int64_t R, C;
  const LayerActivations& a;    ///< of layer l
  const LayerOperands<T>& own;  ///< likewise
  const LayerOffsets& o;        ///< of layer l
};

}  // namespace cllm
