// These operations compute what lies between the two products of the hidden layer, forward and
// backward: an activation, or a gate that multiplies the other half of the product (SwiGLU).
#pragma once

#include "model/shard_ops.h"

namespace cllm {

/// Returns the kernel that adds a bias and applies the activation.
template <class T>
auto activation_kernel(const ActivationKernels<T>& kernels, Activation activation) noexcept {
  switch (activation) {
    case Activation::kGelu:
      return kernels.bias_gelu_erf;
    case Activation::kRelu:
      return kernels.bias_relu;
    default:
      return kernels.bias_gelu;
  }
}

template <class T>
void ShardOps<T>::activate(const Linear& linear, const Range& m, const Range& n) const {
  const std::int64_t F = linear.outputs;
  const MatrixView<T> out = part_of(layer_operands.activated, F, m, n);
  const MatrixView<T> slope = part_of(layer_operands.slope, F, m, n);
  const MatrixView<float> to = product_tile(out, n);
  times_weight(linear, m, n, to);
  const auto kernel = activation_kernel(stored_kernels, cuts.config.activation());
  kernel(m.size(), n.size(), bias_of(linear) + n.begin, to, out, slope);
}

/// Computes activated[m, n] = silu(gate) * up from columns n of both halves of the product, which
/// stay in scratch.
template <class T>
void ShardOps<T>::gate(const Linear& linear, const Range& m, const Range& n) const {
  const std::int64_t F = linear.outputs / 2;
  const MatrixView<float> gates{scratch, n.size()};
  const MatrixView<float> ups{scratch + m.size() * n.size(), n.size()};
  times_weight(linear, m, n, gates);
  times_weight(linear, m, {F + n.begin, F + n.end}, ups);
  stored_kernels.swiglu(m.size(), n.size(), gates, ups, part_of(layer_operands.activated, F, m, n),
                        part_of(layer_operands.slope, F, m, n),
                        part_of(layer_operands.up_slope, F, m, n));
}

// The gradient of the activation's output becomes that of its input at once. The sums of the latter
// over the rows of the tile are part of the bias's gradient.
template <class T>
void ShardOps<T>::activation_backward(const Linear& linear, const Range& m, const Range& n,
                                      std::int64_t group_of_rows) const {
  const std::int64_t F = linear.inputs;
  const MatrixView<const T> slope = part_of(layer_operands.slope, F, m, n);
  const MatrixView<T> out = part_of(operands.dhidden, F, m, n);
  const MatrixView<float> to = product_tile(out, n);
  times_transpose(linear, m, n, to);
  stored_kernels.gelu_backward(m.size(), n.size(), slope, to, out,
                               workspace.hidden_bias + group_of_rows * F + n.begin);
}

// The gradients of the gate and of what it multiplies are made from the same tile of a product.
template <class T>
void ShardOps<T>::gate_backward(const Linear& linear, const Range& m, const Range& n) const {
  const std::int64_t F = linear.inputs;
  const MatrixView<float> to{scratch, n.size()};
  times_transpose(linear, m, n, to);
  const MatrixView<T> dgate = part_of(operands.dhidden, 2 * F, m, n);
  stored_kernels.swiglu_backward(m.size(), n.size(), part_of(layer_operands.slope, F, m, n),
                                 part_of(layer_operands.up_slope, F, m, n), to, dgate,
                                 dgate.at(0, F));
}

}  // namespace cllm
