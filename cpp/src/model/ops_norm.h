// These operations compute layer norms and RMS norms by rows, forward and backward, and the sums
// over rows that biases and norms need.
#pragma once

#include "model/shard_ops.h"

namespace cllm {

/// Names what a norm's backward pass reads and writes beside the gradient of its output.
struct NormSides {
  const float* x;         ///< [R, C] what entered it
  const float* mean;      ///< [R] of a layer norm
  const float* rstd;      ///< [R]
  const float* residual;  ///< [R, C] the gradient that went past it; null: none
  float* dx;              ///< [R, C] receives the gradient of x
};

template <class T>
void ShardOps<T>::norm(std::int64_t tile, const Norm& norm, const float* x, T* out, float* mean,
                       float* rstd) const {
  const Range rows = pass_range(tile);
  const std::int64_t at = rows.begin * C;
  if (norm.kind == NormKind::kRms) {
    return stored_kernels.rmsnorm_forward(rows.size(), C, epsilon, {x + at, C},
                                          parameter(norm.weight), {out + at, C}, rstd + rows.begin);
  }
  stored_kernels.layernorm_forward(rows.size(), C, epsilon, x + at, parameter(norm.weight),
                                   parameter(norm.bias), out + at, mean + rows.begin,
                                   rstd + rows.begin);
}

template <class T>
void ShardOps<T>::norm1(std::int64_t tile, std::int64_t layer) const {
  const LayerActivations& to = workspace.layers[static_cast<std::size_t>(layer)];
  norm(tile, cuts.layout->layer(layer).norm1, to.x, operands.normed1, to.mean1, to.rstd1);
}

template <class T>
void ShardOps<T>::norm2(std::int64_t tile) const {
  norm(tile, parts.norm2, activations.middle, operands.normed2, activations.mean2,
       activations.rstd2);
}

template <class T>
void ShardOps<T>::norm_final(std::int64_t tile) const {
  norm(tile, cuts.layout->final_norm(), workspace.x_final, operands.features, workspace.mean_final,
       workspace.rstd_final);
}

/// Sends dnorm[R, C] back through a norm. dx is written to `copy` too, and the norm's output again
/// to `normed`, unless they are null. The tile's sums for weight and bias are left in `sums`.
template <class T>
void ShardOps<T>::norm_backward(std::int64_t tile, const Norm& norm, const NormSides& sides,
                                T* copy, T* normed, const PartialSums& sums) const {
  const Range rows = pass_range(tile);
  const std::int64_t at = rows.begin * C, slot = tile * C;
  const float* const dout = workspace.dnorm + at;
  const float* const rstd = sides.rstd + rows.begin;
  const auto rows_of = [at](auto* matrix) { return matrix == nullptr ? matrix : matrix + at; };
  if (norm.kind == NormKind::kRms) {
    return stored_kernels.rmsnorm_backward(
        rows.size(), C, {sides.x + at, C}, {dout, C}, parameter(norm.weight), rstd,
        {rows_of(sides.residual), C}, {sides.dx + at, C}, {rows_of(copy), C}, {rows_of(normed), C},
        sums.gamma + slot, false);
  }
  stored_kernels.layernorm_backward(rows.size(), C, sides.x + at, dout, parameter(norm.weight),
                                    parameter(norm.bias), sides.mean + rows.begin, rstd,
                                    rows_of(sides.residual), sides.dx + at, rows_of(copy),
                                    rows_of(normed), sums.gamma + slot, sums.beta + slot);
}

// Each pass leaves up to three sums over its rows: of the norm's weight, of its bias, and of the
// gradient that it hands down to the product below.
template <class T>
void ShardOps<T>::norm_final_backward(std::int64_t tile) const {
  T* const operand = operands.dx[at_layer % 2];
  norm_backward(
      tile, cuts.layout->final_norm(),
      {workspace.x_final, workspace.mean_final, workspace.rstd_final, nullptr, dx_above()},
      copy_of(operand), nullptr, workspace.norm_final);
  hand_down(tile, dx_above(), DropoutSite::kOutput, at_layer, operand, workspace.norm_final);
}

template <class T>
void ShardOps<T>::norm2_backward(std::int64_t tile) const {
  norm_backward(
      tile, parts.norm2,
      {activations.middle, activations.mean2, activations.rstd2, dx_above(), workspace.dmiddle},
      copy_of(operands.dmiddle), operands.normed2, workspace.norm2);
  hand_down(tile, workspace.dmiddle, DropoutSite::kMiddle, at_layer, operands.dmiddle,
            workspace.norm2);
}

template <class T>
void ShardOps<T>::norm1_backward(std::int64_t tile) const {
  T* const operand = operands.dx[(at_layer + 1) % 2];
  norm_backward(
      tile, parts.norm1,
      {activations.x, activations.mean1, activations.rstd1, workspace.dmiddle, dx_below()},
      copy_of(operand), operands.normed1, workspace.norm1);
  if (at_layer == 0) return drop_embedding(pass_range(tile), dx_below());
  hand_down(tile, dx_below(), DropoutSite::kOutput, at_layer - 1, operand, workspace.norm1);
}

// It adds the partial sums of row groups in group order: a few rows of at most F numbers. Biases
// that a model does not have are left out.
template <class T>
void ShardOps<T>::vectors() const {
  const std::int64_t passes = cuts.pass_tiles();
  const Linear &qkv = parts.linear(LinearSite::kQkv), &hidden = parts.linear(LinearSite::kHidden);
  switch (phase.op) {
    case Op::kFinalVectors:
      sum_groups(passes, C, workspace.norm_final.gamma, cuts.layout->final_norm().weight);
      sum_groups(passes, C, workspace.norm_final.beta, cuts.layout->final_norm().bias);
      sum_groups(passes, C, workspace.norm_final.below, parts.linear(LinearSite::kOutput).bias);
      return sum_loss();
    case Op::kHiddenVectors:
      return sum_groups(cuts.linear(LinearSite::kOutput).backward.row_tiles(), hidden.outputs,
                        workspace.hidden_bias, hidden.bias);
    case Op::kMiddleVectors:
      sum_groups(passes, C, workspace.norm2.gamma, parts.norm2.weight);
      sum_groups(passes, C, workspace.norm2.beta, parts.norm2.bias);
      return sum_groups(passes, C, workspace.norm2.below,
                        parts.linear(LinearSite::kProjection).bias);
    case Op::kQkvVectors:
      if (parts.query_norm) {
        const std::int64_t D = cuts.config.head_width();
        const std::int64_t groups = cuts.shape.sequences * cuts.config.key_value_heads();
        sum_groups(groups, D, workspace.query_norm, parts.query_norm->weight);
        sum_groups(groups, D, workspace.key_norm, parts.key_norm->weight);
      }
      return sum_groups(cuts.shape.sequences, qkv.outputs, workspace.qkv_bias, qkv.bias);
    case Op::kInputVectors:
      sum_groups(passes, C, workspace.norm1.gamma, parts.norm1.weight);
      sum_groups(passes, C, workspace.norm1.beta, parts.norm1.bias);
      if (at_layer > 0)
        sum_groups(passes, C, workspace.norm1.below,
                   cuts.layout->layer(at_layer - 1).linear(LinearSite::kOutput).bias);
      return;
    default:
      return;
  }
}

}  // namespace cllm
