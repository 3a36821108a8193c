// The tied head and the cross-entropy, by chunks of rows and blocks of the vocabulary: the logits
// of a chunk are the most that exist, and become their own gradient in place.
#include <cmath>

#include "model/shard_ops.h"

namespace cllm {
namespace {

/// A chunk of rows and one block of the vocabulary.
struct HeadTile {
  std::int64_t first_row, rows;
  std::int64_t first_column, columns;
};

HeadTile head_tile(const ShardOps& op, std::int64_t tile) {
  const ShardCuts& p = op.p;
  const std::int64_t column = tile * p.vocabulary_block;
  return {op.group.chunk * p.chunk_rows, p.chunk_size(op.group.chunk), column,
          std::min(p.config.vocabulary - column, p.vocabulary_block)};
}

/// log sum exp of each row of the chunk from the maxima and sums of the blocks, in block order.
void combine_blocks(const ShardOps& op, std::int64_t rows, float* lse) {
  const std::int64_t blocks = op.p.vocabulary_blocks(), chunk = op.p.chunk_rows;
  for (std::int64_t r = 0; r < rows; ++r) {
    float most = op.w.block_max[r];
    for (std::int64_t b = 1; b < blocks; ++b) {
      most = std::max(most, op.w.block_max[b * chunk + r]);
    }
    float sum = 0;
    for (std::int64_t b = 0; b < blocks; ++b) {
      sum += op.w.block_sum[b * chunk + r] * std::exp(op.w.block_max[b * chunk + r] - most);
    }
    lse[r] = most + std::log(sum);
  }
}

}  // namespace

/// [chunk rows, V']: where the logits of this chunk are.
float* ShardOps::chunk_logits() const noexcept {
  if (d.all_logits == nullptr) return w.logits;
  return d.all_logits + group.chunk * p.chunk_rows * p.config.vocabulary;
}

void ShardOps::logits(std::int64_t tile) const {
  const HeadTile t = head_tile(*this, tile);
  const std::int64_t V = p.config.vocabulary;
  float* out = chunk_logits() + t.first_column;
  gemm.run({GemmForm::kNT, t.rows, t.columns, C, w.features + t.first_row * C, C,
            parameter(p.layout->token_embedding()) + t.first_column * C, C, out, V, false});
  k.softmax_stats(t.rows, t.columns, out, V, w.block_max + tile * p.chunk_rows,
                  w.block_sum + tile * p.chunk_rows);
}

// Every tile combines the blocks for itself: a few thousand operations against a phase of its own.
void ShardOps::logit_gradient(std::int64_t tile) const {
  const HeadTile t = head_tile(*this, tile);
  const std::int64_t V = p.config.vocabulary;
  float* lse = scratch;
  combine_blocks(*this, t.rows, lse);
  const std::int32_t* targets = d.targets + t.first_row;
  float* block = w.logits + t.first_column;
  for (std::int64_t r = 0; r < t.rows; ++r) {
    const std::int64_t column = targets[r] - t.first_column;
    if (column < 0 || column >= t.columns) continue;
    w.row_loss[t.first_row + r] = lse[r] - block[r * V + column];
  }
  k.softmax_gradient(t.rows, t.columns, block, V, lse, targets, t.first_column, d.loss_scale);
  gemm.run({GemmForm::kTN, t.columns, C, t.rows, block, V, w.features + t.first_row * C, C,
            gradient(p.layout->token_embedding()) + t.first_column * C, C,
            d.accumulate || group.chunk > 0});
}

void ShardOps::feature_gradient(std::int64_t tile) const {
  const Grid grid = p.features(group.chunk);
  const Range m = grid.row_range(tile), n = grid.column_range(tile);
  const std::int64_t V = p.config.vocabulary, first = group.chunk * p.chunk_rows + m.begin;
  gemm.run({GemmForm::kNN, m.size(), n.size(), V, w.logits + m.begin * V, V,
            parameter(p.layout->token_embedding()) + n.begin, C, w.dnorm + first * C + n.begin, C,
            false});
  if (p.features_fused()) norm_final_backward(tile);
}

/// Evaluation: the losses of one chunk, rows that have no target left out.
void ShardOps::loss() const {
  const HeadTile t = head_tile(*this, 0);
  float* lse = scratch;
  combine_blocks(*this, t.rows, lse);
  for (std::int64_t r = 0; r < t.rows; ++r) {
    const std::int32_t target = d.targets[t.first_row + r];
    w.row_loss[t.first_row + r] =
        target < 0 ? 0.0f : lse[r] - chunk_logits()[r * p.config.vocabulary + target];
  }
  if (group.chunk + 1 == p.chunks()) sum_loss();
}

void ShardOps::sum_loss() const {
  double sum = 0;
  for (std::int64_t r = 0; r < R; ++r) sum += static_cast<double>(w.row_loss[r]);
  *d.loss = sum;
}

}  // namespace cllm
