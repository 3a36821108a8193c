// These operations compute the head and the cross-entropy, by chunks of rows and blocks of the
// vocabulary. Only the logits of one chunk exist at a time, and they become their own gradient in
// place.
#pragma once

#include <algorithm>
#include <cmath>

#include "model/ops_counted.h"

namespace cllm {

/// Returns log sum exp of the logits at a place of the chunk, from the maxima and sums of the
/// blocks of the vocabulary, in block order.
template <class T>
float ShardOps<T>::log_sum(std::int64_t place) const {
  const std::int64_t blocks = cuts.logits(phase.chunk).column_tiles(), chunk = cuts.chunk_rows;
  const float* const maxima = workspace.block_max + place;
  const float* const sums = workspace.block_sum + place;
  float most = maxima[0];
  for (std::int64_t b = 1; b < blocks; ++b) most = std::max(most, maxima[b * chunk]);
  float sum = 0;
  for (std::int64_t b = 0; b < blocks; ++b) {
    sum += sums[b * chunk] * std::exp(maxima[b * chunk] - most);
  }
  return most + std::log(sum);
}

/// Returns the place of this chunk's logits: [chunk rows, V'].
template <class T>
float* ShardOps<T>::chunk_logits() const noexcept {
  if (data.all_logits == nullptr) return workspace.logits;
  return data.all_logits + phase.chunk * cuts.chunk_rows * cuts.config.vocabulary;
}

/// Returns the gradients of a chunk's logits, whose rows are kLogitStep * V' apart.
template <class T>
MatrixView<T> ShardOps<T>::logit_gradients() const noexcept {
  return {reinterpret_cast<T*>(workspace.logits), kLogitStep * cuts.config.vocabulary};
}

template <class T>
void ShardOps<T>::logits(std::int64_t tile) const {
  const Grid grid = cuts.logits(phase.chunk);
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  const std::int64_t V = cuts.config.vocabulary, first = phase.chunk * cuts.chunk_rows + m.begin;
  if (head_rows(m) == 0) return;
  const Linear& head = cuts.layout->network().head;
  const MatrixView<float> out = MatrixView<float>{chunk_logits(), V}.at(m.begin, n.begin);
  multiply_weight(head, {GemmForm::kNT,
                         m.size(),
                         n.size(),
                         C,
                         {operands.features + first * C, C},
                         {weight(head.weight) + n.begin * C, C},
                         out,
                         false});
  const std::int64_t slot = n.begin / grid.tile_columns * cuts.chunk_rows + m.begin;
  kernels.softmax_stats(m.size(), n.size(), out, workspace.block_max + slot,
                        workspace.block_sum + slot);
}

// A tile has whole rows, so that a row's blocks are combined once and one tile writes its loss.
// Those that are not counted have gradients of 0.
template <class T>
void ShardOps<T>::logit_gradient(std::int64_t tile) const {
  const std::int64_t begin = tile * cuts.loss_rows, V = cuts.config.vocabulary;
  const Range m{begin, std::min(begin + cuts.loss_rows, cuts.chunk_size(phase.chunk))};
  const MatrixView<T> gradients = logit_gradients();
  float* const losses = workspace.row_loss + phase.chunk * cuts.chunk_rows;
  in_head(m, [&](std::int64_t place, std::int64_t row) {
    if (!is_counted(row)) {
      losses[place] = 0;
      return clear_rows(1, V, gradients.at(place, 0));
    }
    const float* const logits = workspace.logits + place * V;
    const std::int32_t* const target = data.rows.targets + row;
    const float lse = log_sum(place);
    losses[place] = lse - logits[*target];
    stored_kernels.softmax_gradient(1, V, {logits, V}, &lse, target, 0, data.loss_scale,
                                    gradients.at(place, 0));
  });
  const std::int64_t end = m.begin + head_rows(m);
  std::fill(losses + end, losses + m.end, 0.0f);
  const std::int64_t added = std::min(m.end, weight_rows());
  if (added > end) clear_rows(added - end, V, gradients.at(end, 0));
}

/// Computes dE[V', C] (+)= d logits^T features: the head's part. If the head is tied, the
/// embedding's is added at the end.
template <class T>
void ShardOps<T>::token_weight(std::int64_t tile) const {
  const Range m = cuts.token_weight.row_range(tile), n = cuts.token_weight.column_range(tile);
  const MatrixView<float> out{gradient(cuts.layout->network().head.weight) + m.begin * C + n.begin,
                              C};
  const bool adds = data.accumulate || phase.chunk > 0;
  const std::int64_t rows = weight_rows();
  if (rows == 0) {
    if (!adds) clear_rows(m.size(), n.size(), out);
    return;
  }
  multiply({GemmForm::kTN,
            m.size(),
            n.size(),
            rows,
            logit_gradients().at(0, m.begin),
            {operands.features + phase.chunk * cuts.chunk_rows * C + n.begin, C},
            out,
            adds});
}

template <class T>
void ShardOps<T>::feature_gradient(std::int64_t tile) const {
  const Grid grid = cuts.features(phase.chunk);
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  const std::int64_t V = cuts.config.vocabulary, first = phase.chunk * cuts.chunk_rows + m.begin;
  if (head_rows(m) == 0) return;
  const Linear& head = cuts.layout->network().head;
  multiply_weight(head, {GemmForm::kNN,
                         m.size(),
                         n.size(),
                         V,
                         logit_gradients().at(m.begin, 0),
                         {weight(head.weight) + n.begin, C},
                         {workspace.dnorm + first * C + n.begin, C},
                         false});
  if (cuts.features_fused()) norm_final_backward(tile);
}

/// Computes the losses of one chunk for evaluation; rows without a target count as 0.
template <class T>
void ShardOps<T>::loss() const {
  const std::int64_t size = cuts.chunk_size(phase.chunk), V = cuts.config.vocabulary;
  float* const losses = workspace.row_loss + phase.chunk * cuts.chunk_rows;
  std::fill(losses, losses + size, 0.0f);
  in_head({0, size}, [&](std::int64_t place, std::int64_t row) {
    if (!is_counted(row)) return;
    losses[place] = log_sum(place) - chunk_logits()[place * V + data.rows.targets[row]];
  });
  if (phase.chunk + 1 == cuts.chunks()) sum_loss();
}

template <class T>
void ShardOps<T>::sum_loss() const {
  double sum = 0;
  for (std::int64_t r = 0; r < R; ++r) sum += static_cast<double>(workspace.row_loss[r]);
  *data.loss = sum;
}

}  // namespace cllm
