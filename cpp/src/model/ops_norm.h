// Layer norms by rows, forward and backward, and the sums over rows that biases and norms need.
#pragma once

#include "model/shard_ops.h"

namespace cllm {

template <class T>
void ShardOps<T>::norm(std::int64_t tile, const float* x, std::int64_t weight, std::int64_t bias,
                       T* out, float* mean, float* rstd) const {
  const Range rows = pass_range(tile);
  ka.layernorm_forward(rows.size(), C, x + rows.begin * C, parameter(weight), parameter(bias),
                       out + rows.begin * C, mean + rows.begin, rstd + rows.begin);
}

template <class T>
void ShardOps<T>::norm1(std::int64_t tile, std::int64_t layer) const {
  const LayerActivations& to = w.layers[static_cast<std::size_t>(layer)];
  const LayerOffsets& at = p.layout->layer(layer);
  norm(tile, to.x, at.ln1_weight, at.ln1_bias, ops.normed1, to.mean1, to.rstd1);
}

template <class T>
void ShardOps<T>::norm2(std::int64_t tile) const {
  norm(tile, a.middle, o.ln2_weight, o.ln2_bias, ops.normed2, a.mean2, a.rstd2);
}

template <class T>
void ShardOps<T>::norm_final(std::int64_t tile) const {
  norm(tile, w.x_final, p.layout->final_weight(), p.layout->final_bias(), ops.features,
       w.mean_final, w.rstd_final);
}

// Each pass leaves three sums over its rows: of the norm's weight and bias, and of the gradient it
// hands down to the product below.
template <class T>
void ShardOps<T>::norm_final_backward(std::int64_t tile) const {
  const Range rows = pass_range(tile);
  const std::int64_t at = rows.begin * C, slot = tile * C;
  float* dx = dx_above() + at;
  ka.layernorm_backward(rows.size(), C, w.x_final + at, w.dnorm + at,
                        parameter(p.layout->final_weight()), parameter(p.layout->final_bias()),
                        w.mean_final + rows.begin, w.rstd_final + rows.begin, nullptr, dx,
                        copy_of(ops.dx[l % 2] + at), nullptr, w.norm_final.gamma + slot,
                        w.norm_final.beta + slot);
  hand_down(rows, dx_above(), DropoutSite::kOutput, l, ops.dx[l % 2], w.norm_final.below + slot);
}

template <class T>
void ShardOps<T>::norm2_backward(std::int64_t tile) const {
  const Range rows = pass_range(tile);
  const std::int64_t at = rows.begin * C, slot = tile * C;
  float* dx = w.dmiddle + at;
  ka.layernorm_backward(rows.size(), C, a.middle + at, w.dnorm + at, parameter(o.ln2_weight),
                        parameter(o.ln2_bias), a.mean2 + rows.begin, a.rstd2 + rows.begin,
                        dx_above() + at, dx, copy_of(ops.dmiddle + at), ops.normed2 + at,
                        w.norm2.gamma + slot, w.norm2.beta + slot);
  hand_down(rows, w.dmiddle, DropoutSite::kMiddle, l, ops.dmiddle, w.norm2.below + slot);
}

template <class T>
void ShardOps<T>::norm1_backward(std::int64_t tile) const {
  const Range rows = pass_range(tile);
  const std::int64_t at = rows.begin * C, slot = tile * C;
  float* dx = dx_below() + at;
  ka.layernorm_backward(rows.size(), C, a.x + at, w.dnorm + at, parameter(o.ln1_weight),
                        parameter(o.ln1_bias), a.mean1 + rows.begin, a.rstd1 + rows.begin,
                        w.dmiddle + at, dx, copy_of(ops.dx[(l + 1) % 2] + at), ops.normed1 + at,
                        w.norm1.gamma + slot, w.norm1.beta + slot);
  if (l == 0) return drop_embedding(rows, dx_below());
  hand_down(rows, dx_below(), DropoutSite::kOutput, l - 1, ops.dx[(l + 1) % 2],
            w.norm1.below + slot);
}

// Adds the partial sums of row groups in group order: a few rows of C to 4C numbers.
template <class T>
void ShardOps<T>::vectors() const {
  const std::int64_t passes = p.pass_tiles();
  switch (group.op) {
    case Op::kFinalVectors:
      sum_groups(passes, C, w.norm_final.gamma, p.layout->final_weight());
      sum_groups(passes, C, w.norm_final.beta, p.layout->final_bias());
      sum_groups(passes, C, w.norm_final.below, o.out_bias);
      return sum_loss();
    case Op::kHiddenVectors:
      return sum_groups(p.output_back.row_tiles(), 4 * C, w.fc_bias, o.fc_bias);
    case Op::kMiddleVectors:
      sum_groups(passes, C, w.norm2.gamma, o.ln2_weight);
      sum_groups(passes, C, w.norm2.beta, o.ln2_bias);
      return sum_groups(passes, C, w.norm2.below, o.proj_bias);
    case Op::kQkvVectors:
      return sum_groups(p.shape.sequences, 3 * C, w.qkv_bias, o.qkv_bias);
    case Op::kInputVectors:
      sum_groups(passes, C, w.norm1.gamma, o.ln1_weight);
      sum_groups(passes, C, w.norm1.beta, o.ln1_bias);
      if (l > 0) sum_groups(passes, C, w.norm1.below, p.layout->layer(l - 1).out_bias);
      return;
    default:
      return;
  }
}

}  // namespace cllm
