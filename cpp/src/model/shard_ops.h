// ShardOps holds the operations of a shard program; each runs one tile. Forward and backward stand
// side by side in ops_*.h, which shard_ops.cc joins. Letters: R rows of the shard, C width, F = 4C,
// H heads, D head width, V' vocabulary.
#pragma once

#include <type_traits>

#include "model/shard_program.h"

namespace cllm {

/// Runs tiles of one phase. T is the type in which the operands of products are stored.
template <class T>
struct ShardOps {
  ShardOps(const ShardCuts& program, const ShardData& shard, const WorkerContext& worker,
           const Phase& running);

  void run(std::int64_t tile) const;

  // ops_embed.h
  void embed(std::int64_t tile) const;
  void embed_backward(std::int64_t tile) const;
  // ops_norm.h
  void norm(std::int64_t tile, const Norm& norm, const float* x, T* out, float* mean,
            float* rstd) const;
  void norm1(std::int64_t tile, std::int64_t layer) const;
  void norm2(std::int64_t tile) const;
  void norm_final(std::int64_t tile) const;
  void norm_final_backward(std::int64_t tile) const;
  void norm2_backward(std::int64_t tile) const;
  void norm1_backward(std::int64_t tile) const;
  void vectors() const;
  // ops_linear.h
  void linear(std::int64_t tile) const;
  void linear_backward(std::int64_t tile) const;
  void linear_weight(std::int64_t tile) const;
  const T* linear_input(LinearSite site) const noexcept;
  const T* linear_gradient(LinearSite site) const noexcept;
  void times_weight(const Linear& linear, const Range& m, const Range& n,
                    MatrixView<float> c) const;
  void times_transpose(const Linear& linear, const Range& m, const Range& n,
                       MatrixView<float> c) const;
  void add_bias(const Linear& linear, const Range& m, const Range& n) const;
  void add_bias_and_gelu(const Linear& linear, const Range& m, const Range& n) const;
  void add_to_residual_stream(const Linear& linear, const Range& m, const Range& n,
                              std::int64_t tile) const;
  void gelu_backward(const Linear& linear, const Range& m, const Range& n,
                     std::int64_t group) const;
  void attended_gradient(const Linear& linear, const Range& m, const Range& n) const;
  void norm_gradient(const Linear& linear, const Range& m, const Range& n, std::int64_t tile) const;
  // ops_dropout.h
  bool drops(double rate) const noexcept { return data.dropout != nullptr && rate > 0; }
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

  // The rest is shorthand.
  /// Multiplies by a weight, which is stored as floats.
  void multiply_weight(const GemmArgsOf<T, float>& args) const {
    if (data.packed == nullptr) return gemm.run(args);
    gemm.run(PackedGemmArgs<T>{args.m, args.n, args.k, args.a,
                               data.packed->panels<T>(args.form, args.b.data - data.parameters),
                               args.c, args.accumulate});
  }
  void multiply(const GemmArgsOf<T, T>& args) const { gemm.run(args); }
  const float* parameter(std::int64_t offset) const noexcept { return data.parameters + offset; }
  float* gradient(std::int64_t offset) const noexcept { return data.gradient + offset; }
  void sum_groups(std::int64_t groups, std::int64_t columns, const float* partial,
                  std::int64_t offset) const;
  Range pass_range(std::int64_t tile) const noexcept {
    const std::int64_t begin = tile * cuts.pass_rows;
    return {begin, std::min(R, begin + cuts.pass_rows)};
  }
  /// These return the gradient of the residual stream that enters the backward pass of layer l from
  /// above, and the one that leaves it downwards.
  float* dx_above() const noexcept { return workspace.dx[at_layer % 2]; }
  float* dx_below() const noexcept { return workspace.dx[(at_layer + 1) % 2]; }

  /// Returns dx_above() as an operand.
  const T* dx_operand() const noexcept { return operands.dx[at_layer % 2]; }
  /// Returns where a norm's pass writes a second copy, as T, of what it writes as floats; null if
  /// both are the same memory, or if dropout applies first.
  T* copy_of(T* operand) const noexcept {
    return kFloat || drops(cuts.config.dropout.residual) ? nullptr : operand;
  }
  /// Returns the gradients of a chunk's logits, whose rows are kLogitStep * V' apart.
  MatrixView<T> logit_gradients() const noexcept {
    return {reinterpret_cast<T*>(workspace.logits), kLogitStep * cuts.config.vocabulary};
  }

  /// Returns where a product writes the floats that will be stored at `out`: there, or into
  /// scratch.
  MatrixView<float> product_tile(MatrixView<T> out, const Range& columns) const noexcept {
    if constexpr (kFloat) return out;
    return {scratch, columns.size()};
  }

  static constexpr bool kFloat = std::is_same_v<T, float>;
  static constexpr std::int64_t kLogitStep = kPerFloat<T>;

  const ShardCuts& cuts;
  const ShardData& data;
  Workspace& workspace;
  const Operands<T>& operands;
  const KernelTable& kernels;
  const ActivationKernels<T>& stored_kernels;  ///< for rows that are stored as T
  Gemm& gemm;
  float* scratch;
  const Phase& phase;
  const std::int64_t at_layer;
  const std::int64_t R, C;
  const LayerActivations& activations;     ///< of the layer
  const LayerOperands<T>& layer_operands;  ///< of the layer
  const NetworkLayer& parts;               ///< of the layer
};

}  // namespace cllm
