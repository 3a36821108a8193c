// The four products of a layer: forward with bias, residual and GELU on the tile while it is in
// the cache; gradients of inputs; gradients of weights. Weights are [in, out].
#pragma once

#include "model/shard_ops.h"

namespace cllm {

template <class T>
void ShardOps<T>::qkv(std::int64_t tile) const {
  const Range m = p.qkv.row_range(tile), n = p.qkv.column_range(tile);
  T* out = own.qkv + m.begin * 3 * C + n.begin;
  const ProductTile to = product_tile(out, 3 * C, n);
  multiply_weight({GemmForm::kNN, m.size(), n.size(), C, ops.normed1 + m.begin * C, C,
                   parameter(o.qkv_weight) + n.begin, 3 * C, to.data, to.ld, false});
  ka.bias_add(m.size(), n.size(), parameter(o.qkv_bias) + n.begin, to.data, to.ld, out, 3 * C);
}

template <class T>
void ShardOps<T>::projection(std::int64_t tile) const {
  const Range m = p.projection.row_range(tile), n = p.projection.column_range(tile);
  const std::int64_t at = m.begin * C + n.begin;
  multiply_weight({GemmForm::kNN, m.size(), n.size(), C, own.attended + m.begin * C, C,
                   parameter(o.proj_weight) + n.begin, C, a.middle + at, C, false});
  add_residual(m, n, o.proj_bias, a.x, DropoutSite::kMiddle, a.middle);
  if (p.whole_rows) norm2(tile);
}

template <class T>
void ShardOps<T>::hidden(std::int64_t tile) const {
  const Range m = p.hidden.row_range(tile), n = p.hidden.column_range(tile);
  const std::int64_t F = 4 * C, at = m.begin * F + n.begin;
  const ProductTile to = product_tile(own.gelu + at, F, n);
  multiply_weight({GemmForm::kNN, m.size(), n.size(), C, ops.normed2 + m.begin * C, C,
                   parameter(o.fc_weight) + n.begin, F, to.data, to.ld, false});
  ka.bias_gelu(m.size(), n.size(), parameter(o.fc_bias) + n.begin, to.data, to.ld, own.gelu + at, F,
               own.slope == nullptr ? nullptr : own.slope + at, F);
}

template <class T>
void ShardOps<T>::output(std::int64_t tile) const {
  const Range m = p.output.row_range(tile), n = p.output.column_range(tile);
  const std::int64_t F = 4 * C, at = m.begin * C + n.begin;
  const bool last = l + 1 == p.config.layers;
  float* x = last ? w.x_final : w.layers[static_cast<std::size_t>(l) + 1].x;
  multiply_weight({GemmForm::kNN, m.size(), n.size(), F, own.gelu + m.begin * F, F,
                   parameter(o.out_weight) + n.begin, C, x + at, C, false});
  add_residual(m, n, o.out_bias, a.middle, DropoutSite::kOutput, x);
  if (p.whole_rows && last) norm_final(tile);
  if (p.whole_rows && !last) norm1(tile, l + 1);
}

// d gelu[m, F] = dx[m, C] Wt, at once turned into d hidden.
template <class T>
void ShardOps<T>::output_backward(std::int64_t tile) const {
  const Grid& grid = p.output_back;
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  const std::int64_t F = 4 * C, at = m.begin * F + n.begin;
  const ProductTile to = product_tile(ops.dhidden + at, F, n);
  multiply_weight({GemmForm::kNT, m.size(), n.size(), C, dx_operand() + m.begin * C, C,
                   parameter(o.out_weight) + n.begin * C, C, to.data, to.ld, false});
  ka.gelu_backward(m.size(), n.size(), own.slope + at, F, to.data, to.ld, ops.dhidden + at, F,
                   w.fc_bias + grid.row_tile(tile) * F + n.begin);
}

// The gradient of what the heads gave is an operand of attention's own products.
template <class T>
void ShardOps<T>::projection_backward(std::int64_t tile) const {
  const Grid& grid = p.projection_back;
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  T* out = ops.dattended + m.begin * C + n.begin;
  const ProductTile to = product_tile(out, C, n);
  multiply_weight({GemmForm::kNT, m.size(), n.size(), C, ops.dmiddle + m.begin * C, C,
                   parameter(o.proj_weight) + n.begin * C, C, to.data, to.ld, false});
  if constexpr (!kFloat) {
    for (std::int64_t r = 0; r < m.size(); ++r) {
      k.round_bf16(static_cast<std::size_t>(n.size()), to.data + r * to.ld, out + r * C);
    }
  }
}

/// dnorm[m, C] = dout[m, out] W[C, out]^T on one tile of `grid`.
template <class T>
void ShardOps<T>::norm_gradient(std::int64_t tile, const Grid& grid, const T* dout,
                                std::int64_t outputs, std::int64_t weight) const {
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  multiply_weight({GemmForm::kNT, m.size(), n.size(), outputs, dout + m.begin * outputs, outputs,
                   parameter(weight) + n.begin * outputs, outputs, w.dnorm + m.begin * C + n.begin,
                   C, false});
}

/// dW[in, out] (+)= x[R, in]^T dout[R, out] on one tile of `grid` (in x out).
template <class T>
void ShardOps<T>::weight_gradient(std::int64_t tile, const Grid& grid, const T* x, const T* dout,
                                  std::int64_t weight) const {
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  multiply({GemmForm::kTN, m.size(), n.size(), R, x + m.begin, grid.rows, dout + n.begin,
            grid.columns, gradient(weight) + m.begin * grid.columns + n.begin, grid.columns,
            d.accumulate});
}

}  // namespace cllm
