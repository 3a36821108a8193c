// ShardCuts says how every operation of one shard is cut in tiles. It is computed once from shapes
// and then only read.
#pragma once

#include <array>

#include "model/layout.h"
#include "model/tiling.h"
#include "model/workspace.h"

namespace cllm {

/// Describes attention forward of some query rows of a few sequences, for every head of keys.
struct AttentionGroup {
  Range sequences;
  std::int64_t block;  ///< number of the query block, in each of the sequences
  Range rows;          ///< of the shard, from the first sequence's to the last one's
  std::int64_t items;  ///< (sequence, head of keys) pairs
};

/// Says how the products of a linear map are cut, and those of its adapter, of P parts and rank r.
struct LinearCuts {
  Grid forward;   // rows x outputs, those of one part
  Grid backward;  // rows x inputs: the gradient of the input
  Grid weight;    // rows x columns of the weight: its gradient
  // A tile of the first two has all columns of u, or of one part.
  Grid adapted = {};         // rows x P r: u
  Grid adapted_parts = {};   // the same, part by part: the gradient of u
  Grid adapter_a = {};       // P r x inputs: the gradient of A
  std::vector<Grid> b = {};  // outputs of a part x r: the gradient of its B
  std::int32_t b_tiles() const noexcept {
    std::int32_t tiles = 0;
    for (const Grid& part : b) tiles += part.tiles();
    return tiles;
  }
};

struct ShardCuts {
  ShardCuts(const ModelConfig& config, const ParameterLayout& layout, const ShardShape& shape,
            WeightLayout weights, HeadRows head = HeadRows::kAll);

  ModelConfig config;
  const ParameterLayout* layout;
  ShardShape shape;
  WeightLayout weights;
  HeadRows head_rows;
  std::array<LinearCuts, kLinearSites> linears;  // of a layer
  Grid token_weight;                             // vocabulary x width
  /// If C is one column of tiles, a tile of a product back to width C holds whole rows. It then
  /// also runs the pass over them that comes next, which saves a fifth of the phases of narrow
  /// models.
  bool whole_rows;
  std::int64_t pass_rows;       // rows of one tile of a pass over rows
  std::int64_t embed_columns;   // columns of one tile of the embedding gradient
  std::int64_t query_rows;      // query rows of one attention item
  std::int64_t heads_per_tile;  // attention items of one tile; a tile never leaves its group
  std::int64_t chunk_rows;      // rows whose logits exist at the same time
  std::int64_t loss_rows;       // rows of one tile of the pass over logits
  // Every tile reads these.
  std::vector<float> turns;  // [T, D] cosines and sines of rotary positions, if the model has them
  std::vector<float> zeros;  // as many as the longest bias, for a linear map without one

  const LinearCuts& linear(LinearSite site) const noexcept { return linears[site_index(site)]; }
  std::int64_t pass_tiles() const noexcept { return ceil_div(shape.rows(), pass_rows); }
  std::int64_t query_blocks() const noexcept { return ceil_div(shape.length, query_rows); }
  /// Returns about how many rows go through the shard together: those of a tile of a product.
  std::int64_t lane_rows() const noexcept {
    return linear(LinearSite::kProjection).forward.tile_rows;
  }
  /// Returns the same in whole sequences, for attention.
  std::int64_t lane_sequences() const noexcept {
    return std::clamp<std::int64_t>(lane_rows() / shape.length, 1, shape.sequences);
  }
  std::int64_t attention_groups() const noexcept {
    return ceil_div(shape.sequences, lane_sequences()) * query_blocks();
  }
  AttentionGroup attention_group(std::int64_t group) const noexcept {
    const std::int64_t T = shape.length, lane = group / query_blocks();
    AttentionGroup g;
    g.sequences.begin = lane * lane_sequences();
    g.sequences.end = std::min(shape.sequences, g.sequences.begin + lane_sequences());
    g.block = query_blocks() - 1 - group % query_blocks();  // the longest first
    g.rows.begin = g.sequences.begin * T + g.block * query_rows;
    g.rows.end = (g.sequences.end - 1) * T + std::min(T, (g.block + 1) * query_rows);
    g.items = g.sequences.size() * config.key_value_heads();
    return g;
  }
  /// Returns the tiles of one group; the last one may be smaller.
  std::int64_t attention_group_tiles() const noexcept {
    return ceil_div(lane_sequences() * config.key_value_heads(), heads_per_tile);
  }
  std::int64_t embed_tiles() const noexcept { return ceil_div(config.width, embed_columns); }
  std::int64_t chunks() const noexcept { return ceil_div(shape.rows(), chunk_rows); }
  std::int64_t chunk_size(std::int64_t chunk) const noexcept {
    return std::min(chunk_rows, shape.rows() - chunk * chunk_rows);
  }
  Grid logits(std::int64_t chunk) const {
    return of_head(logit_grid(chunk_size(chunk), config.vocabulary));
  }
  std::int64_t loss_tiles(std::int64_t chunk) const noexcept {
    return ceil_div(chunk_size(chunk), loss_rows);
  }
  /// Says whether a tile of the features' gradient also runs the pass that comes next: then it has
  /// the tiles of every other product of width C.
  bool features_fused() const noexcept {
    return whole_rows && chunks() == 1 && head_rows == HeadRows::kAll;
  }
  Grid features(std::int64_t chunk) const {
    return of_head(product(chunk_size(chunk), config.width));
  }

 private:
  void cut_adapter(const Linear& linear, LinearCuts& cuts) const;
  /// Lowers the tiles of a product of the head if only some of its rows will be computed.
  Grid of_head(Grid grid) const {
    constexpr std::int64_t kFewRows = 64;
    if (head_rows == HeadRows::kCounted) grid.tile_rows = std::min(grid.tile_rows, kFewRows);
    return grid;
  }
  Grid product(std::int64_t rows, std::int64_t columns) const {
    return product_grid(rows, columns, config.width, weights);
  }
};

}  // namespace cllm
