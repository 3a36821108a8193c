// These operations apply dropout to what adapters read, and to its gradient.
#pragma once

#include <algorithm>

#include "model/ops_rows.h"

namespace cllm {

/// Calls body(columns) for columns n in turn, few enough for a product's floats to fit in scratch.
template <class Body>
void in_columns(const Range& n, Body body) {
  for (std::int64_t c = n.begin; c < n.end; c += kProductColumns) {
    body(Range{c, std::min(n.end, c + kProductColumns)});
  }
}

/// Sets x[m, n] = dropout(x) + added, where x has those columns of the linear map's input that are
/// n.
template <class T>
void ShardOps<T>::drop(const Range& m, const Range& n, MatrixView<const float> added,
                       MatrixView<float> x) const {
  const auto head = static_cast<std::int64_t>(site_index(phase.site)) + 1;
  in_sequences(m, [&](const Range& rows, std::int64_t s, std::int64_t first) {
    const std::int64_t r = rows.begin - m.begin;
    const Dropout dropped =
        dropout(s, cuts.layout->adapter_dropout(), DropoutSite::kAdapter, at_layer, head);
    kernels.bias_dropout_residual(rows.size(), n.size(), cuts.zeros.data(), dropped, first, n.begin,
                                  added.at(r, 0), x.at(r, 0));
  });
}

/// Makes rows m of the input that is left to the adapter.
template <class T>
void ShardOps<T>::drop_rows(const Range& m) const {
  const std::int64_t inputs = parts.linear(phase.site).inputs;
  in_columns({0, inputs}, [&](const Range& n) {
    const MatrixView<const T> x = part_of(linear_input(phase.site), inputs, m, n);
    const MatrixView<T> out = part_of(operands.dropped[site_index(phase.site)], inputs, m, n);
    const MatrixView<float> to = product_tile(out, n);
    for (std::int64_t r = 0; r < m.size(); ++r) {
      if constexpr (kFloat) {
        std::copy_n(x.row(r), n.size(), to.row(r));
      } else {
        kernels.widen_bf16(static_cast<std::size_t>(n.size()), x.row(r), to.row(r));
      }
    }
    drop(m, n, {cuts.zeros.data(), 0}, to);
    store_product(m, n, to, out);
  });
}

/// Makes that input again for the gradient of A: another layer's has taken its place.
template <class T>
void ShardOps<T>::drop_again(std::int64_t tile) const {
  if (drops(cuts.layout->adapter_dropout())) {
    drop_rows(cuts.linear(phase.site).adapted.row_range(tile));
  }
}

/// Returns what A multiplies: [R, inputs].
template <class T>
const T* ShardOps<T>::adapter_input() const noexcept {
  if (drops(cuts.layout->adapter_dropout())) return operands.dropped[site_index(phase.site)];
  return linear_input(phase.site);
}

}  // namespace cllm
