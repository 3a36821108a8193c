// These operations compute the head and the cross-entropy, by chunks of rows and blocks of the
// vocabulary. Only the logits of one chunk exist at a time, and they become their own gradient in
// place.
#pragma once

#include <cmath>

#include "model/shard_ops.h"

namespace cllm {
/// Computes log sum exp of rows [begin, begin + rows) of the chunk from the maxima and sums of the
/// blocks of the vocabulary, in block order.
template <class T>
void ShardOps<T>::combine_blocks(std::int64_t begin, std::int64_t rows, float* lse) const {
  const std::int64_t blocks = cuts.logits(phase.chunk).column_tiles(), chunk = cuts.chunk_rows;
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* maxima = workspace.block_max + begin + r;
    const float* sums = workspace.block_sum + begin + r;
    float most = maxima[0];
    for (std::int64_t b = 1; b < blocks; ++b) most = std::max(most, maxima[b * chunk]);
    float sum = 0;
    for (std::int64_t b = 0; b < blocks; ++b) {
      sum += sums[b * chunk] * std::exp(maxima[b * chunk] - most);
    }
    lse[r] = most + std::log(sum);
  }
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
template <class T>
void ShardOps<T>::logit_gradient(std::int64_t tile) const {
  const std::int64_t begin = tile * cuts.loss_rows;
  const std::int64_t rows = std::min(cuts.loss_rows, cuts.chunk_size(phase.chunk) - begin);
  const std::int64_t V = cuts.config.vocabulary, first = phase.chunk * cuts.chunk_rows + begin;
  float* lse = scratch;
  combine_blocks(begin, rows, lse);
  float* block = workspace.logits + begin * V;
  const std::int32_t* targets = data.rows.targets + first;
  for (std::int64_t r = 0; r < rows; ++r) {
    workspace.row_loss[first + r] = lse[r] - block[r * V + targets[r]];
  }
  stored_kernels.softmax_gradient(rows, V, {block, V}, lse, targets, 0, data.loss_scale,
                                  logit_gradients().at(begin, 0));
}

/// Computes dE[V', C] (+)= d logits^T features: the head's part. If the head is tied, the
/// embedding's is added at the end.
template <class T>
void ShardOps<T>::token_weight(std::int64_t tile) const {
  const Range m = cuts.token_weight.row_range(tile), n = cuts.token_weight.column_range(tile);
  multiply({GemmForm::kTN,
            m.size(),
            n.size(),
            cuts.chunk_size(phase.chunk),
            logit_gradients().at(0, m.begin),
            {operands.features + phase.chunk * cuts.chunk_rows * C + n.begin, C},
            {gradient(cuts.layout->network().head.weight) + m.begin * C + n.begin, C},
            data.accumulate || phase.chunk > 0});
}

template <class T>
void ShardOps<T>::feature_gradient(std::int64_t tile) const {
  const Grid grid = cuts.features(phase.chunk);
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  const std::int64_t V = cuts.config.vocabulary, first = phase.chunk * cuts.chunk_rows + m.begin;
  multiply_weight({GemmForm::kNN,
                   m.size(),
                   n.size(),
                   V,
                   logit_gradients().at(m.begin, 0),
                   {parameter(cuts.layout->network().head.weight) + n.begin, C},
                   {workspace.dnorm + first * C + n.begin, C},
                   false});
  if (cuts.features_fused()) norm_final_backward(tile);
}

/// Computes the losses of one chunk for evaluation; rows without a target count as 0.
template <class T>
void ShardOps<T>::loss() const {
  const std::int64_t rows = cuts.chunk_size(phase.chunk), first = phase.chunk * cuts.chunk_rows;
  float* lse = scratch;
  combine_blocks(0, rows, lse);
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int32_t target = data.rows.targets[first + r];
    workspace.row_loss[first + r] =
        target < 0 ? 0.0f : lse[r] - chunk_logits()[r * cuts.config.vocabulary + target];
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
