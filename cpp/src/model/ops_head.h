// These operations compute the head and the cross-entropy, by chunks of rows and blocks of the
// vocabulary. Only the logits of one chunk exist at a time, and they become their own gradient in
// place.
#pragma once

#include <algorithm>
#include <cmath>

#include "model/ops_rows.h"

namespace cllm {

/// Says whether one of some rows of the shard has a target that is counted. Without one, nobody
/// needs their logits, and their gradients are 0.
template <class T>
bool ShardOps<T>::counts(std::int64_t first, std::int64_t rows) const noexcept {
  const std::int32_t* const targets = data.rows.targets + first;
  return std::any_of(targets, targets + rows, [](std::int32_t t) { return t != kNotCounted; });
}

/// Returns log sum exp of a row of the chunk, from the maxima and sums of the blocks of the
/// vocabulary, in block order.
template <class T>
float ShardOps<T>::log_sum(std::int64_t row) const {
  const std::int64_t blocks = cuts.logits(phase.chunk).column_tiles(), chunk = cuts.chunk_rows;
  const float* const maxima = workspace.block_max + row;
  const float* const sums = workspace.block_sum + row;
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

template <class T>
void ShardOps<T>::logits(std::int64_t tile) const {
  const Grid grid = cuts.logits(phase.chunk);
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  const std::int64_t V = cuts.config.vocabulary, first = phase.chunk * cuts.chunk_rows + m.begin;
  if (data.all_logits == nullptr && !counts(first, m.size())) return;
  const MatrixView<float> out = MatrixView<float>{chunk_logits(), V}.at(m.begin, n.begin);
  multiply_weight({GemmForm::kNT,
                   m.size(),
                   n.size(),
                   C,
                   {operands.features + first * C, C},
                   {parameter(cuts.layout->network().head.weight) + n.begin * C, C},
                   out,
                   false});
  const std::int64_t slot = n.begin / grid.tile_columns * cuts.chunk_rows + m.begin;
  kernels.softmax_stats(m.size(), n.size(), out, workspace.block_max + slot,
                        workspace.block_sum + slot);
}

// A tile has whole rows, so that a row's blocks are combined once and one tile writes its loss.
// Rows that are not counted get gradients of 0, unless nobody will read them.
template <class T>
void ShardOps<T>::logit_gradient(std::int64_t tile) const {
  const std::int64_t begin = tile * cuts.loss_rows;
  const std::int64_t end = std::min(begin + cuts.loss_rows, cuts.chunk_size(phase.chunk));
  const std::int64_t V = cuts.config.vocabulary, chunk = phase.chunk * cuts.chunk_rows;
  const std::int32_t* const targets = data.rows.targets + chunk;
  const bool read = counts(chunk, cuts.chunk_size(phase.chunk));
  float* const lse = scratch;
  for (std::int64_t r = begin; r < end;) {
    const bool counted = targets[r] != kNotCounted;
    const std::int64_t first = r;
    for (; r < end && (targets[r] != kNotCounted) == counted; ++r) {
      if (counted) lse[r - first] = log_sum(r);
      workspace.row_loss[chunk + r] =
          counted ? lse[r - first] - workspace.logits[r * V + targets[r]] : 0.0f;
    }
    const MatrixView<T> gradients = logit_gradients().at(first, 0);
    if (counted) {
      stored_kernels.softmax_gradient(r - first, V, {workspace.logits + first * V, V}, lse,
                                      targets + first, 0, data.loss_scale, gradients);
    } else if (read) {
      clear_rows(r - first, V, gradients);
    }
  }
}

/// Computes dE[V', C] (+)= d logits^T features: the head's part. If the head is tied, the
/// embedding's is added at the end.
template <class T>
void ShardOps<T>::token_weight(std::int64_t tile) const {
  const Range m = cuts.token_weight.row_range(tile), n = cuts.token_weight.column_range(tile);
  const MatrixView<float> out{gradient(cuts.layout->network().head.weight) + m.begin * C + n.begin,
                              C};
  const bool adds = data.accumulate || phase.chunk > 0;
  if (!counts(phase.chunk * cuts.chunk_rows, cuts.chunk_size(phase.chunk))) {
    if (!adds) clear_rows(m.size(), n.size(), out);
    return;
  }
  multiply({GemmForm::kTN,
            m.size(),
            n.size(),
            cuts.chunk_size(phase.chunk),
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
  const MatrixView<float> out{workspace.dnorm + first * C + n.begin, C};
  if (counts(first, m.size())) {
    multiply_weight({GemmForm::kNN,
                     m.size(),
                     n.size(),
                     V,
                     logit_gradients().at(m.begin, 0),
                     {parameter(cuts.layout->network().head.weight) + n.begin, C},
                     out,
                     false});
  } else {
    clear_rows(m.size(), n.size(), out);
  }
  if (cuts.features_fused()) norm_final_backward(tile);
}

/// Computes the losses of one chunk for evaluation; rows without a target count as 0.
template <class T>
void ShardOps<T>::loss() const {
  const std::int64_t rows = cuts.chunk_size(phase.chunk), first = phase.chunk * cuts.chunk_rows;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int32_t target = data.rows.targets[first + r];
    workspace.row_loss[first + r] =
        target == kNotCounted ? 0.0f
                              : log_sum(r) - chunk_logits()[r * cuts.config.vocabulary + target];
  }
  if (phase.chunk + 1 == cuts.chunks()) sum_loss();
}

template <class T>
void ShardOps<T>::sum_loss() const {
  double sum = 0;
  for (std::int64_t r = 0; r < R; ++r) sum += static_cast<double>(workspace.row_loss[r]);
  *data.loss = sum;
}

}  // namespace cllm
