// The four products of a layer: forward with bias, residual and GELU on the tile while it is in
// the cache; gradients of inputs; gradients of weights. Weights are [in, out].
#include "model/shard_ops.h"

namespace cllm {

void ShardOps::qkv(std::int64_t tile) const {
  const Range m = p.qkv.row_range(tile), n = p.qkv.column_range(tile);
  float* out = a.qkv + m.begin * 3 * C + n.begin;
  gemm.run({GemmForm::kNN, m.size(), n.size(), C, w.normed1 + m.begin * C, C,
            parameter(o.qkv_weight) + n.begin, 3 * C, out, 3 * C, false});
  k.bias_add(m.size(), n.size(), parameter(o.qkv_bias) + n.begin, out, 3 * C, out, 3 * C);
}

void ShardOps::projection(std::int64_t tile) const {
  const Range m = p.projection.row_range(tile), n = p.projection.column_range(tile);
  const std::int64_t at = m.begin * C + n.begin;
  gemm.run({GemmForm::kNN, m.size(), n.size(), C, a.attended + m.begin * C, C,
            parameter(o.proj_weight) + n.begin, C, a.middle + at, C, false});
  k.bias_residual(m.size(), n.size(), parameter(o.proj_bias) + n.begin, a.x + at, C, a.middle + at,
                  C);
  if (p.whole_rows) norm2(tile);
}

void ShardOps::hidden(std::int64_t tile) const {
  const Range m = p.hidden.row_range(tile), n = p.hidden.column_range(tile);
  const std::int64_t F = 4 * C, at = m.begin * F + n.begin;
  gemm.run({GemmForm::kNN, m.size(), n.size(), C, w.normed2 + m.begin * C, C,
            parameter(o.fc_weight) + n.begin, F, a.hidden + at, F, false});
  k.bias_gelu(m.size(), n.size(), parameter(o.fc_bias) + n.begin, a.hidden + at, F, a.hidden + at,
              F, w.gelu + at, F);
}

void ShardOps::output(std::int64_t tile) const {
  const Range m = p.output.row_range(tile), n = p.output.column_range(tile);
  const std::int64_t F = 4 * C, at = m.begin * C + n.begin;
  const bool last = l + 1 == p.config.layers;
  float* x = last ? w.x_final : w.layers[static_cast<std::size_t>(l) + 1].x;
  gemm.run({GemmForm::kNN, m.size(), n.size(), F, w.gelu + m.begin * F, F,
            parameter(o.out_weight) + n.begin, C, x + at, C, false});
  k.bias_residual(m.size(), n.size(), parameter(o.out_bias) + n.begin, a.middle + at, C, x + at, C);
  if (p.whole_rows && last) norm_final(tile);
  if (p.whole_rows && !last) norm1(tile, l + 1);
}

// d gelu[m, F] = dx[m, C] Wt, at once turned into d hidden; gelu is made again for its weight.
void ShardOps::output_backward(std::int64_t tile) const {
  const Grid& grid = p.output_back;
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  const std::int64_t F = 4 * C, at = m.begin * F + n.begin;
  product_backward(tile, grid, dx_above(), C, o.out_weight, w.dhidden);
  k.gelu_backward(m.size(), n.size(), a.hidden + at, F, w.dhidden + at, F, w.dhidden + at, F,
                  w.gelu + at, F);
  k.column_sums(m.size(), n.size(), w.dhidden + at, F,
                w.fc_bias + grid.row_tile(tile) * F + n.begin, false);
}

/// dx[m, in] = dout[m, out] W[in, out]^T on one tile of `grid` (rows x in).
void ShardOps::product_backward(std::int64_t tile, const Grid& grid, const float* dout,
                                std::int64_t outputs, std::int64_t weight, float* dx) const {
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  const std::int64_t inputs = grid.columns;
  gemm.run({GemmForm::kNT, m.size(), n.size(), outputs, dout + m.begin * outputs, outputs,
            parameter(weight) + n.begin * outputs, outputs, dx + m.begin * inputs + n.begin, inputs,
            false});
}

/// dW[in, out] (+)= x[R, in]^T dout[R, out] on one tile of `grid` (in x out).
void ShardOps::weight_gradient(std::int64_t tile, const Grid& grid, const float* x,
                               const float* dout, std::int64_t weight) const {
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  gemm.run({GemmForm::kTN, m.size(), n.size(), R, x + m.begin, grid.rows, dout + n.begin,
            grid.columns, gradient(weight) + m.begin * grid.columns + n.begin, grid.columns,
            d.accumulate});
}

}  // namespace cllm
