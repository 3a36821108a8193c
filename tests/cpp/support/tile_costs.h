// The costs of a training step's tiles, relative to each other, are counted from their arithmetic.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/shard_jobs.h"
#include "model/layout.h"
#include "plan/batch_plan.h"

namespace cllm {

/// Counts the multiply-adds of one tile. A pass over rows counts 16 for each element, because it
/// waits for memory.
class TileCosts {
 public:
  static double of(const ShardProgram& program, std::size_t phase, std::int32_t tile) {
    const Phase& p = program.phases()[phase];
    return TileCosts{program.cuts()}.tile(p, p.tile(tile));
  }

 private:
  explicit TileCosts(const ShardCuts& cuts) : p(cuts) {}

  static double product(const Grid& grid, std::int64_t tile, std::int64_t depth) {
    return static_cast<double>(grid.row_range(tile).size() * grid.column_range(tile).size() *
                               depth);
  }

  double rows(std::int64_t tile) const {
    const std::int64_t first = tile * p.pass_rows;
    return 16.0 * static_cast<double>(p.config.width *
                                      (std::min(p.shape.rows(), first + p.pass_rows) - first));
  }

  /// Returns the columns of queries that one head of keys serves.
  std::int64_t group_width() const { return p.config.head_group() * p.config.head_width(); }

  /// Counts causal attention: the rows of a block see those before them.
  double attention(std::int64_t tile) const {
    const std::int64_t tiles = p.attention_group_tiles();
    const AttentionGroup g = p.attention_group(tile / tiles);
    const std::int64_t begin = tile % tiles * p.heads_per_tile;
    const std::int64_t items = std::min(g.items, begin + p.heads_per_tile) - begin;
    const std::int64_t first = g.block * p.query_rows;
    const std::int64_t last = std::min(p.shape.length, first + p.query_rows);
    return static_cast<double>(items * (last - first) * (first + last) * group_width());
  }

  double tile(const Phase& group, std::int64_t tile) const {
    const std::int64_t R = p.shape.rows(), T = p.shape.length, C = p.config.width;
    const LinearCuts& cuts = p.linear(group.site);
    const Linear& linear = p.layout->layer(0).linear(group.site);
    switch (group.op) {
      case Op::kAdapt:
        return product(cuts.adapted, tile, linear.inputs);
      case Op::kDropAgain:
        return 16.0 * static_cast<double>(cuts.adapted.tile_rows * linear.inputs);
      case Op::kAdaptBackward:
        return product(cuts.adapted_parts, tile, linear.outputs);
      case Op::kAdapterA:
        return product(cuts.adapter_a, tile, R);
      case Op::kAdapterB:
        return product(cuts.b.front(), 0, R);
      case Op::kLinear:
        return product(cuts.forward, tile, linear.inputs * linear.parts());
      case Op::kLinearBackward:
        return product(cuts.backward, tile, linear.outputs);
      case Op::kLinearWeight:
        return product(cuts.weight, tile, R);
      case Op::kAttention:
        return attention(tile);
      case Op::kAttentionBackward:
        return 2.5 * static_cast<double>(T * T * group_width());
      case Op::kLogits:
        return product(p.logits(group.chunk), tile, C);
      case Op::kTokenWeight:
        return product(p.token_weight, tile, p.chunk_size(group.chunk));
      case Op::kLogitGradient:
        return 16.0 * static_cast<double>(
                          p.config.vocabulary *
                          std::min(p.loss_rows, p.chunk_size(group.chunk) - tile * p.loss_rows));
      case Op::kFeatureGradient:
        return product(p.features(group.chunk), tile, p.config.vocabulary);
      case Op::kEmbed:
      case Op::kNorm1:
      case Op::kNorm2:
      case Op::kNormFinal:
      case Op::kNormFinalBackward:
      case Op::kNorm2Backward:
      case Op::kNorm1Backward:
        return rows(tile);
      case Op::kEmbedBackward:
        return 4.0 * static_cast<double>(R * p.embed_columns);
      case Op::kGatherCounted:
      case Op::kLoss:
      case Op::kSpreadCounted:
        return static_cast<double>(R);
      case Op::kFinalVectors:
      case Op::kHiddenVectors:
      case Op::kMiddleVectors:
      case Op::kQkvVectors:
      case Op::kInputVectors:
        return 16.0 * static_cast<double>(p.config.hidden());
    }
    return 0;
  }

  const ShardCuts& p;
};

}  // namespace cllm
