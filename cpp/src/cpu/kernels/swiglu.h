// SwiGLU multiplies one product by the SiLU of another (Shazeer 2020), forward and backward.
#pragma once

#include "base/matrix_view.h"
#include "cpu/kernels/activations.h"

namespace cllm {
namespace {

/// All are [rows, columns]; the slopes' data may be null. With s = sigmoid(gate): silu = gate s,
/// and silu' = s + silu (1 - s). The slopes take the room that gate and up would take, and save
/// backward the exponential.
template <class T>
void swiglu(std::int64_t rows, std::int64_t columns, MatrixView<const float> gate,
            MatrixView<const float> up, MatrixView<T> out, MatrixView<T> gate_slope,
            MatrixView<T> up_slope) {
  for (std::int64_t r = 0; r < rows; ++r) {
    T* const to = out.row(r);
    for_vectors(columns, [&](std::int64_t i, int count) {
      const V g = load_some(gate.row(r) + i, count), u = load_some(up.row(r) + i, count);
      const V share = gate_below(to, mul(g, set1(-1.4426950409f)));
      const V silu = mul(g, share);
      store_some(to + i, mul(silu, u), count);
      if (gate_slope.data == nullptr) return;
      const V derivative = fma(silu, sub(set1(1.0f), share), share);
      store_some(gate_slope.row(r) + i, mul(derivative, u), count);
      store_some(up_slope.row(r) + i, silu, count);
    });
  }
}

/// All are [rows, columns].
template <class T>
void swiglu_backward(std::int64_t rows, std::int64_t columns, MatrixView<const T> gate_slope,
                     MatrixView<const T> up_slope, MatrixView<const float> dout,
                     MatrixView<T> dgate, MatrixView<T> dup) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for_vectors(columns, [&](std::int64_t i, int count) {
      const V d = load_some(dout.row(r) + i, count);
      const V by_gate = load_some(gate_slope.row(r) + i, count);
      const V by_up = load_some(up_slope.row(r) + i, count);
      store_some(dgate.row(r) + i, mul(d, by_gate), count);
      store_some(dup.row(r) + i, mul(d, by_up), count);
    });
  }
}

}  // namespace
}  // namespace cllm
