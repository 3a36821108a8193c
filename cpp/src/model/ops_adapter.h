// These operations compute what adapters add to linear maps (Hu et al. 2021), y += s (x A^T) B^T,
// and their gradients. u = s x A^T comes first, and the tiles of y add u B^T. Backward is the same
// with du = s dy B, from which the tiles of dx add du A. Then dB = dy^T u and dA = du^T x. Dropout
// applies to the x that A multiplies, alike for all parts of an adapter, and to the du A.
#pragma once

#include <algorithm>

#include "model/ops_adapter_dropout.h"

namespace cllm {

/// Multiplies a product's floats by s, and stores them where they are not stored yet.
template <class T>
void ShardOps<T>::store_scaled(const Range& m, const Range& n, float scale,
                               MatrixView<float> product, MatrixView<T> out) const {
  for (std::int64_t r = 0; r < m.size(); ++r) {
    float* const row = product.row(r);
    for (std::int64_t c = 0; c < n.size(); ++c) row[c] *= scale;
  }
  store_product(m, n, product, out);
}

template <class T>
void ShardOps<T>::adapt(std::int64_t tile) const {
  const Linear& linear = parts.linear(phase.site);
  const Adapter& adapter = linear.adapter;
  const Grid& grid = cuts.linear(phase.site).adapted;
  const Range m = grid.row_range(tile);
  const std::int64_t inputs = linear.inputs;
  if (drops(cuts.layout->adapter_dropout())) drop_rows(m);
  in_columns(grid.column_range(tile), [&](const Range& n) {
    const MatrixView<T> out = part_of(adapted(), grid.columns, m, n);
    const MatrixView<float> to = product_tile(out, n);
    gemm.run(GemmArgsOf<T, float>{GemmForm::kNT,
                                  m.size(),
                                  n.size(),
                                  inputs,
                                  {adapter_input() + m.begin * inputs, inputs},
                                  {data.adapters + adapter.a + n.begin * inputs, inputs},
                                  to,
                                  false});
    store_scaled(m, n, adapter.scale, to, out);
  });
}

/// Makes the gradient of one part's columns of u.
template <class T>
void ShardOps<T>::adapt_backward(std::int64_t tile) const {
  const Linear& linear = parts.linear(phase.site);
  const Adapter& adapter = linear.adapter;
  const Grid& grid = cuts.linear(phase.site).adapted_parts;
  const Range m = grid.row_range(tile), all = grid.column_range(tile);
  const AdapterPart& part = adapter.parts[static_cast<std::size_t>(all.begin / adapter.rank)];
  const T* const dy = linear_gradient(phase.site) + m.begin * linear.outputs + part.first;
  in_columns(all, [&](const Range& n) {
    const MatrixView<T> out = part_of(dadapted(), grid.columns, m, n);
    const MatrixView<float> to = product_tile(out, n);
    gemm.run(GemmArgsOf<T, float>{GemmForm::kNN,
                                  m.size(),
                                  n.size(),
                                  part.outputs,
                                  {dy, linear.outputs},
                                  {data.adapters + part.b + n.begin - all.begin, adapter.rank},
                                  to,
                                  false});
    store_scaled(m, n, adapter.scale, to, out);
  });
}

/// Computes c += (u B^T)[m, n], where c has those columns of y that are n.
template <class T>
void ShardOps<T>::add_adapter(const Linear& linear, const Range& m, const Range& n,
                              MatrixView<float> c) const {
  const Adapter& adapter = linear.adapter;
  const std::int64_t r = adapter.rank, width = adapter.width();
  const T* u = adapted() + m.begin * width;
  for (const AdapterPart& part : adapter.parts) {
    const Range columns{std::max(n.begin, part.first), std::min(n.end, part.first + part.outputs)};
    if (columns.size() > 0) {
      gemm.run(GemmArgsOf<T, float>{GemmForm::kNT,
                                    m.size(),
                                    columns.size(),
                                    r,
                                    {u, width},
                                    {data.adapters + part.b + (columns.begin - part.first) * r, r},
                                    c.at(0, columns.begin - n.begin),
                                    true});
    }
    u += r;
  }
}

/// Computes c += (du A)[m, n]. After dropout that is made beside c, which may begin scratch.
template <class T>
void ShardOps<T>::add_adapter_backward(const Linear& linear, const Range& m, const Range& n,
                                       MatrixView<float> c) const {
  const std::int64_t width = linear.adapter.width();
  const bool dropped = drops(cuts.layout->adapter_dropout());
  const MatrixView<float> beside{scratch + m.size() * n.size(), n.size()};
  gemm.run(GemmArgsOf<T, float>{GemmForm::kNN,
                                m.size(),
                                n.size(),
                                width,
                                {dadapted() + m.begin * width, width},
                                {data.adapters + linear.adapter.a + n.begin, linear.inputs},
                                dropped ? beside : c,
                                !dropped});
  if (!dropped) return;
  drop(m, n, c, beside);
  for (std::int64_t r = 0; r < m.size(); ++r) std::copy_n(beside.row(r), n.size(), c.row(r));
}

/// Computes dA (+)= du^T x on one tile of all parts' A.
template <class T>
void ShardOps<T>::adapter_a(std::int64_t tile) const {
  const Linear& linear = parts.linear(phase.site);
  const Grid& grid = cuts.linear(phase.site).adapter_a;
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  multiply({GemmForm::kTN,
            m.size(),
            n.size(),
            R,
            {dadapted() + m.begin, grid.rows},
            {adapter_input() + n.begin, grid.columns},
            {data.gradient + linear.adapter.a + m.begin * grid.columns + n.begin, grid.columns},
            data.accumulate});
}

/// Computes dB (+)= dy^T u on one tile of one part's B.
template <class T>
void ShardOps<T>::adapter_b(std::int64_t tile) const {
  const Linear& linear = parts.linear(phase.site);
  const std::vector<Grid>& grids = cuts.linear(phase.site).b;
  std::size_t p = 0;
  for (; tile >= grids[p].tiles(); ++p) tile -= grids[p].tiles();
  const Grid& grid = grids[p];
  const AdapterPart& part = linear.adapter.parts[p];
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  const std::int64_t r = linear.adapter.rank;
  const T* const u = adapted() + static_cast<std::int64_t>(p) * r;
  multiply({GemmForm::kTN,
            m.size(),
            n.size(),
            R,
            {linear_gradient(phase.site) + part.first + m.begin, linear.outputs},
            {u + n.begin, linear.adapter.width()},
            {data.gradient + part.b + m.begin * r + n.begin, r},
            data.accumulate});
}

}  // namespace cllm
