// ShardOps holds the operations of a shard program; each runs one tile. Forward and backward stand
// side by side in ops_*.h, which shard_ops.cc joins. Letters: R rows of the shard, C width, F
// hidden width, H heads, D head width, Q and K columns of queries and keys, V' vocabulary.
#pragma once

#include <type_traits>

#include "model/shard_program.h"

namespace cllm {

/// Returns the tile of a matrix [R, columns]; without data for no matrix.
template <class T>
MatrixView<T> part_of(T* matrix, std::int64_t columns, const Range& m, const Range& n) noexcept {
  if (matrix == nullptr) return {nullptr, 0};
  return MatrixView<T>{matrix, columns}.at(m.begin, n.begin);
}

struct NormSides;

/// Runs tiles of one phase. T is the type in which the operands of products are stored.
template <class T>
struct ShardOps {
  ShardOps(const ShardCuts& program, const ShardData& shard, const WorkerContext& worker,
           const Phase& running);

  void run(std::int64_t tile) const;

  // ops_rows.h
  template <class Body>
  void in_sequences(const Range& rows, Body body) const;
  template <class Body>
  void in_documents(const Range& rows, Body body) const;
  std::int64_t position(std::int64_t row) const noexcept;
  // ops_embed.h
  const float* row_of(std::int64_t embedding, std::int64_t row, float* wide) const;
  void embed(std::int64_t tile) const;
  void embed_backward(std::int64_t tile) const;
  // ops_norm.h
  void norm(std::int64_t tile, const Norm& norm, const float* x, T* out, float* mean,
            float* rstd) const;
  void norm1(std::int64_t tile, std::int64_t layer) const;
  void norm2(std::int64_t tile) const;
  void norm_final(std::int64_t tile) const;
  void norm_backward(std::int64_t tile, const Norm& norm, const NormSides& sides, T* copy,
                     T* normed, const PartialSums& sums) const;
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
  void add_to_residual_stream(const Linear& linear, const Range& m, const Range& n,
                              std::int64_t tile) const;
  void attended_gradient(const Linear& linear, const Range& m, const Range& n) const;
  void norm_gradient(const Linear& linear, const Range& m, const Range& n, std::int64_t tile) const;
  // ops_adapter.h
  void adapt(std::int64_t tile) const;
  void adapt_backward(std::int64_t tile) const;
  void add_adapter(const Linear& linear, const Range& m, const Range& n, MatrixView<float> c) const;
  void add_adapter_backward(const Linear& linear, const Range& m, const Range& n,
                            MatrixView<float> c) const;
  void adapter_a(std::int64_t tile) const;
  void adapter_b(std::int64_t tile) const;
  const T* adapter_input() const noexcept;
  void drop(const Range& m, const Range& n, MatrixView<const float> added,
            MatrixView<float> x) const;
  void drop_rows(const Range& m) const;
  void drop_again(std::int64_t tile) const;
  void store_scaled(const Range& m, const Range& n, float scale, MatrixView<float> product,
                    MatrixView<T> out) const;
  T* adapted() const noexcept { return layer_operands.adapted[site_index(phase.site)]; }
  T* dadapted() const noexcept { return operands.dadapted[site_index(phase.site)]; }
  // ops_hidden.h
  void activate(const Linear& linear, const Range& m, const Range& n) const;
  void gate(const Linear& linear, const Range& m, const Range& n) const;
  void activation_backward(const Linear& linear, const Range& m, const Range& n,
                           std::int64_t group) const;
  void gate_backward(const Linear& linear, const Range& m, const Range& n) const;
  // ops_dropout.h
  bool drops(double rate) const noexcept { return data.dropout != nullptr && rate > 0; }
  Dropout dropout(std::int64_t s, double rate, DropoutSite site, std::int64_t layer,
                  std::int64_t head) const;
  template <class Body>
  void by_sequence(const Range& rows, double rate, DropoutSite site, std::int64_t layer,
                   Body body) const;
  void add_residual(const Range& m, const Range& n, const float* bias, const float* residual,
                    DropoutSite site, float* x) const;
  void hand_down(std::int64_t tile, const float* dx, DropoutSite site, std::int64_t layer,
                 T* operand, const PartialSums& of_pass) const;
  void drop_embedding(const Range& rows, float* x) const;
  // ops_heads.h
  void make_heads(const Linear& linear, const Range& m, const Range& n) const;
  void normalise_heads(const Range& m, const Range& n, MatrixView<float> out) const;
  void turn_back(std::int64_t s, std::int64_t k, const AttentionArgs<T>& args) const;
  void head_backward(std::int64_t s, std::int64_t head, const Norm& norm, T* gradient, float* sums,
                     bool accumulate) const;
  // ops_attention.h
  AttentionArgs<T> head_args(std::int64_t s, std::int64_t k) const;
  void attention(std::int64_t tile) const;
  void attention_backward(std::int64_t tile) const;
  // ops_counted.h
  bool is_counted(std::int64_t row) const noexcept;
  std::int64_t head_rows(const Range& m) const noexcept;
  std::int64_t weight_rows() const noexcept;
  template <class Body>
  void in_head(const Range& m, Body body) const;
  void gather_counted() const;
  void spread_counted() const;
  // ops_head.h
  void logits(std::int64_t tile) const;
  void loss() const;
  void logit_gradient(std::int64_t tile) const;
  void feature_gradient(std::int64_t tile) const;
  void token_weight(std::int64_t tile) const;
  void sum_loss() const;
  float log_sum(std::int64_t place) const;
  float* chunk_logits() const noexcept;
  MatrixView<T> logit_gradients() const noexcept;

  /// Multiplies by a linear map's weight, or by the part of it that B of `args` is.
  void multiply_weight(const Linear& linear, const GemmArgsOf<T, float>& args) const;
  void multiply(const GemmArgsOf<T, T>& args) const { gemm.run(args); }
  const float* parameter(std::int64_t offset) const noexcept { return data.parameters + offset; }
  /// Returns where the floats of a whole weight lie, which may be trained beside adapters.
  const float* weight(std::int64_t offset) const noexcept {
    return cuts.layout->weight(offset, data.parameters, data.adapters);
  }
  const float* bias_of(const Linear& linear) const noexcept {
    return linear.bias == kAbsent ? cuts.zeros.data() : parameter(linear.bias);
  }
  /// Returns the gradient of the weight at `offset`. REQUIRES: it is trained.
  float* gradient(std::int64_t offset) const noexcept {
    return data.gradient + cuts.layout->trainable(offset);
  }
  /// Adds up the gradient of the weight at `offset`, if there is one that is trained.
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
  /// Returns where a product writes the floats that will be stored at `out`: there, or into
  /// scratch.
  MatrixView<float> product_tile(MatrixView<T> out, const Range& columns) const noexcept {
    if constexpr (kFloat) return out;
    return {scratch, columns.size()};
  }
  /// Stores such a product where it is not stored yet.
  void store_product(const Range& m, const Range& n, MatrixView<float> product,
                     MatrixView<T> out) const {
    if constexpr (!kFloat) {
      for (std::int64_t r = 0; r < m.size(); ++r) {
        kernels.round_bf16(static_cast<std::size_t>(n.size()), product.row(r), out.row(r));
      }
    }
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
  const float epsilon;                     ///< of norms
  const LayerActivations& activations;     ///< of the layer
  const LayerOperands<T>& layer_operands;  ///< of the layer
  const NetworkLayer& parts;               ///< of the layer
};

}  // namespace cllm
