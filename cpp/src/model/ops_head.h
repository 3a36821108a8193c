// The tied head and the cross-entropy, by chunks of rows and blocks of the vocabulary: the logits
// of a chunk are the most that exist, and become their own gradient in place.
#pragma once

#include <cmath>

#include "model/shard_ops.h"

namespace cllm {
/// log sum exp of rows [begin, begin + rows) of the chunk from the maxima and sums of the blocks of
/// the vocabulary, in block order.
template <class T>
void ShardOps<T>::combine_blocks(std::int64_t begin, std::int64_t rows, float* lse) const {
  const std::int64_t blocks = p.logits(group.chunk).column_tiles(), chunk = p.chunk_rows;
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* maxima = w.block_max + begin + r;
    const float* sums = w.block_sum + begin + r;
    float most = maxima[0];
    for (std::int64_t b = 1; b < blocks; ++b) most = std::max(most, maxima[b * chunk]);
    float sum = 0;
    for (std::int64_t b = 0; b < blocks; ++b) {
      sum += sums[b * chunk] * std::exp(maxima[b * chunk] - most);
    }
    lse[r] = most + std::log(sum);
  }
}

/// [chunk rows, V']: where the logits of this chunk are.
template <class T>
float* ShardOps<T>::chunk_logits() const noexcept {
  if (d.all_logits == nullptr) return w.logits;
  return d.all_logits + group.chunk * p.chunk_rows * p.config.vocabulary;
}

template <class T>
void ShardOps<T>::logits(std::int64_t tile) const {
  const Grid grid = p.logits(group.chunk);
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  const std::int64_t V = p.config.vocabulary, first = group.chunk * p.chunk_rows + m.begin;
  float* out = chunk_logits() + m.begin * V + n.begin;
  multiply_weight({GemmForm::kNT, m.size(), n.size(), C, ops.features + first * C, C,
                   parameter(p.layout->token_embedding()) + n.begin * C, C, out, V, false});
  const std::int64_t slot = n.begin / grid.tile_columns * p.chunk_rows + m.begin;
  k.softmax_stats(m.size(), n.size(), out, V, w.block_max + slot, w.block_sum + slot);
}

// By rows, so that a row's blocks are combined once and its loss is written by one tile.
template <class T>
void ShardOps<T>::logit_gradient(std::int64_t tile) const {
  const std::int64_t begin = tile * p.loss_rows;
  const std::int64_t rows = std::min(p.loss_rows, p.chunk_size(group.chunk) - begin);
  const std::int64_t V = p.config.vocabulary, first = group.chunk * p.chunk_rows + begin;
  float* lse = scratch;
  combine_blocks(begin, rows, lse);
  float* block = w.logits + begin * V;
  const std::int32_t* targets = d.targets + first;
  for (std::int64_t r = 0; r < rows; ++r) {
    w.row_loss[first + r] = lse[r] - block[r * V + targets[r]];
  }
  ka.softmax_gradient(rows, V, block, V, lse, targets, 0, d.loss_scale,
                      logit_gradients() + begin * kLogitStep * V, kLogitStep * V);
}

/// d wte[V', C] (+)= d logits^T features: the head's part; the embedding's is added at the end.
template <class T>
void ShardOps<T>::token_weight(std::int64_t tile) const {
  const Range m = p.token_weight.row_range(tile), n = p.token_weight.column_range(tile);
  multiply({GemmForm::kTN, m.size(), n.size(), p.chunk_size(group.chunk),
            logit_gradients() + m.begin, kLogitStep * p.config.vocabulary,
            ops.features + group.chunk * p.chunk_rows * C + n.begin, C,
            gradient(p.layout->token_embedding()) + m.begin * C + n.begin, C,
            d.accumulate || group.chunk > 0});
}

template <class T>
void ShardOps<T>::feature_gradient(std::int64_t tile) const {
  const Grid grid = p.features(group.chunk);
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  const std::int64_t V = p.config.vocabulary, first = group.chunk * p.chunk_rows + m.begin;
  multiply_weight({GemmForm::kNN, m.size(), n.size(), V,
                   logit_gradients() + m.begin * kLogitStep * V, kLogitStep * V,
                   parameter(p.layout->token_embedding()) + n.begin, C,
                   w.dnorm + first * C + n.begin, C, false});
  if (p.features_fused()) norm_final_backward(tile);
}

/// Evaluation: the losses of one chunk, rows that have no target left out.
template <class T>
void ShardOps<T>::loss() const {
  const std::int64_t rows = p.chunk_size(group.chunk), first = group.chunk * p.chunk_rows;
  float* lse = scratch;
  combine_blocks(0, rows, lse);
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int32_t target = d.targets[first + r];
    w.row_loss[first + r] =
        target < 0 ? 0.0f : lse[r] - chunk_logits()[r * p.config.vocabulary + target];
  }
  if (group.chunk + 1 == p.chunks()) sum_loss();
}

template <class T>
void ShardOps<T>::sum_loss() const {
  double sum = 0;
  for (std::int64_t r = 0; r < R; ++r) sum += static_cast<double>(w.row_loss[r]);
  *d.loss = sum;
}

}  // namespace cllm
