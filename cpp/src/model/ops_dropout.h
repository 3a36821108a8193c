// These operations apply dropout (Srivastava et al. 2014) where GPT-2 has it, by rows of whole
// sequences; the dropout of attention's weights is in its kernels.
#pragma once

#include "model/ops_rows.h"

namespace cllm {

/// Returns the dropout of sequence `s` of the shard.
template <class T>
Dropout ShardOps<T>::dropout(std::int64_t s, double rate, DropoutSite site, std::int64_t layer,
                             std::int64_t head) const {
  return dropout_of(*data.dropout, data.first_sequence + s, rate, site, layer, head);
}

/// Calls body(rows, first, dropout) for the rows of each sequence in turn; `first` is the place of
/// the first one in its sequence.
template <class T>
template <class Body>
void ShardOps<T>::by_sequence(const Range& rows, double rate, DropoutSite site, std::int64_t layer,
                              Body body) const {
  in_sequences(rows, [&](const Range& some, std::int64_t s, std::int64_t first) {
    body(some, first, dropout(s, rate, site, layer, 0));
  });
}

/// Computes x[m, n] = dropout(x + bias) + residual on one tile of [R, C].
template <class T>
void ShardOps<T>::add_residual(const Range& m, const Range& n, const float* bias,
                               const float* residual, DropoutSite site, float* x) const {
  const float* const b = bias + n.begin;
  if (!drops(cuts.config.dropout.residual)) {
    const std::int64_t at = m.begin * C + n.begin;
    return kernels.bias_residual(m.size(), n.size(), b, {residual + at, C}, {x + at, C});
  }
  by_sequence(m, cuts.config.dropout.residual, site, at_layer,
              [&](const Range& rows, std::int64_t first, const Dropout& dropout) {
                const std::int64_t at = rows.begin * C + n.begin;
                kernels.bias_dropout_residual(rows.size(), n.size(), b, dropout, first, n.begin,
                                              {residual + at, C}, {x + at, C});
              });
}

/// Turns the gradient of the residual stream in the rows of a pass's tile into that of the product
/// which was added to it in `layer`. It writes the operand of the backward products, if that is not
/// dx itself, and the sum over the rows, which is the gradient of the product's bias, if it has one
/// that is trained.
template <class T>
void ShardOps<T>::hand_down(std::int64_t tile, const float* dx, DropoutSite site,
                            std::int64_t layer, T* operand, const PartialSums& of_pass) const {
  const Range rows = pass_range(tile);
  const bool summed = of_pass.below != nullptr && !cuts.layout->adapted();
  float* const sums = summed ? of_pass.below + tile * C : nullptr;
  if (!drops(cuts.config.dropout.residual)) {
    if (sums == nullptr) return;
    return kernels.column_sums(rows.size(), C, {dx + rows.begin * C, C}, sums, false);
  }
  by_sequence(rows, cuts.config.dropout.residual, site, layer,
              [&](const Range& some, std::int64_t first, const Dropout& dropout) {
                const std::int64_t at = some.begin * C;
                stored_kernels.dropout_rows(some.size(), C, dx + at, dropout, first, operand + at,
                                            sums, some.begin > rows.begin);
              });
}

/// Applies dropout in place to what enters the first layer, or to its gradient.
template <class T>
void ShardOps<T>::drop_embedding(const Range& rows, float* x) const {
  if (!drops(cuts.config.dropout.embedding)) return;
  by_sequence(rows, cuts.config.dropout.embedding, DropoutSite::kEmbedding, 0,
              [&](const Range& some, std::int64_t first, const Dropout& dropout) {
                float* const at = x + some.begin * C;
                kernels.dropout_rows(some.size(), C, at, dropout, first, at, nullptr, false);
              });
}

}  // namespace cllm
