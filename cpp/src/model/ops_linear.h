// These operations compute the three products of a linear map: forward, with what follows on the
// tile while it is in the cache; the gradient of its input; and the gradient of its weight.
#pragma once

#include "model/shard_ops.h"

namespace cllm {

template <class T>
void ShardOps<T>::multiply_weight(const Linear& linear, const GemmArgsOf<T, float>& args) const {
  const std::int64_t at = linear.weight + (args.b.data - weight(linear.weight));
  if (data.packed != nullptr) {
    const T* const panels = data.packed->panels<T>(args.form, at);
    return gemm.run(
        PackedGemmArgs<T>{args.m, args.n, args.k, args.a, panels, args.c, args.accumulate});
  }
  if (data.matrices == nullptr || cuts.layout->trains(linear.weight)) return gemm.run(args);
  const MatrixView<const Bf16> b{data.matrices + at, args.b.stride};
  gemm.run(
      GemmArgsOf<T, Bf16>{args.form, args.m, args.n, args.k, args.a, b, args.c, args.accumulate});
}

/// Returns what a linear map of the layer multiplies: [R, inputs].
template <class T>
const T* ShardOps<T>::linear_input(LinearSite site) const noexcept {
  switch (site) {
    case LinearSite::kQkv:
      return operands.normed1;
    case LinearSite::kProjection:
      return layer_operands.attended;
    case LinearSite::kHidden:
      return operands.normed2;
    case LinearSite::kOutput:
      break;
  }
  return layer_operands.activated;
}

/// Returns the gradient of its result: [R, outputs].
template <class T>
const T* ShardOps<T>::linear_gradient(LinearSite site) const noexcept {
  switch (site) {
    case LinearSite::kQkv:
      return operands.dqkv;
    case LinearSite::kProjection:
      return operands.dmiddle;
    case LinearSite::kHidden:
      return operands.dhidden;
    case LinearSite::kOutput:
      break;
  }
  return dx_operand();
}

/// Computes c = (x W)[m, n], with what an adapter adds.
template <class T>
void ShardOps<T>::times_weight(const Linear& linear, const Range& m, const Range& n,
                               MatrixView<float> c) const {
  const std::int64_t step = linear.order == WeightOrder::kInOut ? 1 : linear.inputs;
  multiply_weight(linear, {linear.forward_form(),
                           m.size(),
                           n.size(),
                           linear.inputs,
                           {linear_input(phase.site) + m.begin * linear.inputs, linear.inputs},
                           {weight(linear.weight) + n.begin * step, linear.columns()},
                           c,
                           false});
  if (linear.adapter.exists()) add_adapter(linear, m, n, c);
}

/// Computes c = (dy W^T)[m, n], with what an adapter adds.
template <class T>
void ShardOps<T>::times_transpose(const Linear& linear, const Range& m, const Range& n,
                                  MatrixView<float> c) const {
  const std::int64_t step = linear.order == WeightOrder::kInOut ? linear.outputs : 1;
  multiply_weight(linear, {linear.backward_form(),
                           m.size(),
                           n.size(),
                           linear.outputs,
                           {linear_gradient(phase.site) + m.begin * linear.outputs, linear.outputs},
                           {weight(linear.weight) + n.begin * step, linear.columns()},
                           c,
                           false});
  if (linear.adapter.exists()) add_adapter_backward(linear, m, n, c);
}

template <class T>
void ShardOps<T>::linear(std::int64_t tile) const {
  const Linear& linear = parts.linear(phase.site);
  const Grid& grid = cuts.linear(phase.site).forward;
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  switch (linear.epilogue) {
    case Epilogue::kNone:  // ShardCuts has refused it
    case Epilogue::kBias:
      return add_bias(linear, m, n);
    case Epilogue::kHeads:
      return make_heads(linear, m, n);
    case Epilogue::kActivation:
      return activate(linear, m, n);
    case Epilogue::kGated:
      return gate(linear, m, n);
    case Epilogue::kResidual:
      return add_to_residual_stream(linear, m, n, tile);
  }
}

template <class T>
void ShardOps<T>::add_bias(const Linear& linear, const Range& m, const Range& n) const {
  const MatrixView<T> out = part_of(layer_operands.qkv, linear.outputs, m, n);
  const MatrixView<float> to = product_tile(out, n);
  times_weight(linear, m, n, to);
  stored_kernels.bias_add(m.size(), n.size(), bias_of(linear) + n.begin, to, out);
}

template <class T>
void ShardOps<T>::add_to_residual_stream(const Linear& linear, const Range& m, const Range& n,
                                         std::int64_t tile) const {
  const bool middle = phase.site == LinearSite::kProjection,
             last = at_layer + 1 == cuts.config.layers;
  float* const above =
      last ? workspace.x_final : workspace.layers[static_cast<std::size_t>(at_layer) + 1].x;
  float* const x = middle ? activations.middle : above;
  times_weight(linear, m, n, {x + m.begin * C + n.begin, C});
  add_residual(m, n, bias_of(linear), middle ? activations.x : activations.middle,
               middle ? DropoutSite::kMiddle : DropoutSite::kOutput, x);
  if (!cuts.whole_rows) return;
  if (middle) return norm2(tile);
  return last ? norm_final(tile) : norm1(tile, at_layer + 1);
}

template <class T>
void ShardOps<T>::linear_backward(std::int64_t tile) const {
  const Linear& linear = parts.linear(phase.site);
  const Grid& grid = cuts.linear(phase.site).backward;
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  switch (linear.from) {
    case InputFrom::kActivation:
      if (cuts.config.is_gated()) return gate_backward(linear, m, n);
      return activation_backward(linear, m, n, grid.row_tile(tile));
    case InputFrom::kAttention:
      return attended_gradient(linear, m, n);
    case InputFrom::kNorm:
      return norm_gradient(linear, m, n, tile);
  }
}

// The gradient of the heads' output is an operand of attention's own products.
template <class T>
void ShardOps<T>::attended_gradient(const Linear& linear, const Range& m, const Range& n) const {
  const MatrixView<T> out = part_of(operands.dattended, linear.inputs, m, n);
  const MatrixView<float> to = product_tile(out, n);
  times_transpose(linear, m, n, to);
  store_product(m, n, to, out);
}

template <class T>
void ShardOps<T>::norm_gradient(const Linear& linear, const Range& m, const Range& n,
                                std::int64_t tile) const {
  times_transpose(linear, m, n, {workspace.dnorm + m.begin * C + n.begin, C});
  if (!cuts.whole_rows) return;
  return phase.site == LinearSite::kQkv ? norm1_backward(tile) : norm2_backward(tile);
}

/// Computes dW (+)= x^T dy, or its transpose, on one tile of the stored weight.
template <class T>
void ShardOps<T>::linear_weight(std::int64_t tile) const {
  const Linear& linear = parts.linear(phase.site);
  const Grid& grid = cuts.linear(phase.site).weight;
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  const bool in_out = linear.order == WeightOrder::kInOut;
  const T* const x = linear_input(phase.site);
  const T* const dy = linear_gradient(phase.site);
  multiply({GemmForm::kTN,
            m.size(),
            n.size(),
            R,
            {(in_out ? x : dy) + m.begin, grid.rows},
            {(in_out ? dy : x) + n.begin, grid.columns},
            {gradient(linear.weight) + m.begin * grid.columns + n.begin, grid.columns},
            data.accumulate});
}

}  // namespace cllm
