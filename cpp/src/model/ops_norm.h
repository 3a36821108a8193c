// These operations compute layer norms by rows, forward and backward, and the sums over rows that
// biases and norms need.
#pragma once

#include "model/shard_ops.h"

namespace cllm {

template <class T>
void ShardOps<T>::norm(std::int64_t tile, const Norm& norm, const float* x, T* out, float* mean,
                       float* rstd) const {
  const Range rows = pass_range(tile);
  stored_kernels.layernorm_forward(rows.size(), C, x + rows.begin * C, parameter(norm.weight),
                                   parameter(norm.bias), out + rows.begin * C, mean + rows.begin,
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

// Each pass leaves three sums over its rows: of the norm's weight, of its bias, and of the gradient
// that it hands down to the product below.
template <class T>
void ShardOps<T>::norm_final_backward(std::int64_t tile) const {
  const Range rows = pass_range(tile);
  const std::int64_t at = rows.begin * C, slot = tile * C;
  float* dx = dx_above() + at;
  stored_kernels.layernorm_backward(
      rows.size(), C, workspace.x_final + at, workspace.dnorm + at,
      parameter(cuts.layout->final_norm().weight), parameter(cuts.layout->final_norm().bias),
      workspace.mean_final + rows.begin, workspace.rstd_final + rows.begin, nullptr, dx,
      copy_of(operands.dx[at_layer % 2] + at), nullptr, workspace.norm_final.gamma + slot,
      workspace.norm_final.beta + slot);
  hand_down(rows, dx_above(), DropoutSite::kOutput, at_layer, operands.dx[at_layer % 2],
            workspace.norm_final.below + slot);
}

template <class T>
void ShardOps<T>::norm2_backward(std::int64_t tile) const {
  const Range rows = pass_range(tile);
  const std::int64_t at = rows.begin * C, slot = tile * C;
  float* dx = workspace.dmiddle + at;
  stored_kernels.layernorm_backward(
      rows.size(), C, activations.middle + at, workspace.dnorm + at, parameter(parts.norm2.weight),
      parameter(parts.norm2.bias), activations.mean2 + rows.begin, activations.rstd2 + rows.begin,
      dx_above() + at, dx, copy_of(operands.dmiddle + at), operands.normed2 + at,
      workspace.norm2.gamma + slot, workspace.norm2.beta + slot);
  hand_down(rows, workspace.dmiddle, DropoutSite::kMiddle, at_layer, operands.dmiddle,
            workspace.norm2.below + slot);
}

template <class T>
void ShardOps<T>::norm1_backward(std::int64_t tile) const {
  const Range rows = pass_range(tile);
  const std::int64_t at = rows.begin * C, slot = tile * C;
  float* dx = dx_below() + at;
  stored_kernels.layernorm_backward(
      rows.size(), C, activations.x + at, workspace.dnorm + at, parameter(parts.norm1.weight),
      parameter(parts.norm1.bias), activations.mean1 + rows.begin, activations.rstd1 + rows.begin,
      workspace.dmiddle + at, dx, copy_of(operands.dx[(at_layer + 1) % 2] + at),
      operands.normed1 + at, workspace.norm1.gamma + slot, workspace.norm1.beta + slot);
  if (at_layer == 0) return drop_embedding(rows, dx_below());
  hand_down(rows, dx_below(), DropoutSite::kOutput, at_layer - 1, operands.dx[(at_layer + 1) % 2],
            workspace.norm1.below + slot);
}

// It adds the partial sums of row groups in group order: a few rows of C to 4C numbers.
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
