// These rules cut the products and row passes of one shard in tiles. They depend on shapes only.
#pragma once

#include <algorithm>
#include <cstdint>

#include "model/pass.h"

namespace cllm {

/// A tile of a product has at most so many columns, unless it has whole heads.
constexpr std::int64_t kProductColumns = 128;

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) noexcept { return (a + b - 1) / b; }

/// Describes a half-open range of rows or columns.
struct Range {
  std::int64_t begin;
  std::int64_t end;
  std::int64_t size() const noexcept { return end - begin; }
};

/// Describes a matrix of rows x columns cut in tiles. Tiles of one column range are neighbours, so
/// that workers who take tiles in order share the packed operand's source in the cache.
struct Grid {
  std::int64_t rows = 0, columns = 0;
  std::int64_t tile_rows = 1, tile_columns = 1;

  std::int64_t row_tiles() const noexcept { return ceil_div(rows, tile_rows); }
  std::int64_t column_tiles() const noexcept { return ceil_div(columns, tile_columns); }
  std::int32_t tiles() const noexcept {
    return static_cast<std::int32_t>(row_tiles() * column_tiles());
  }
  std::int64_t row_tile(std::int64_t tile) const noexcept { return tile % row_tiles(); }
  Range row_range(std::int64_t tile) const noexcept {
    const std::int64_t begin = row_tile(tile) * tile_rows;
    return {begin, std::min(rows, begin + tile_rows)};
  }
  Range column_range(std::int64_t tile) const noexcept {
    const std::int64_t begin = tile / row_tiles() * tile_columns;
    return {begin, std::min(columns, begin + tile_columns)};
  }
};

/// Cuts rows of a shard times a weight, or times its transpose, in a model of some width. A tile
/// that packs its own part of the weight is cheaper when it is tall; at least 16 such tiles keep a
/// team busy to the end. If weights are packed already, tiles are low, so that one position feeds
/// as many workers as possible: 128 rows in models so narrow that a tile holds whole rows, else 64.
Grid product_grid(std::int64_t rows, std::int64_t columns, std::int64_t width,
                  WeightLayout weights);

/// Widens the tiles of such a grid for q, k and v, whose heads are `head_width` wide, so that each
/// holds whole heads.
Grid grid_of_heads(Grid grid, std::int64_t head_width);

/// Returns the most elements of a tile of product_grid for shards of at most `rows`, and of a tile
/// of whole heads among `columns`.
std::int64_t most_product_tile(std::int64_t rows);
std::int64_t most_tile_of_heads(std::int64_t rows, std::int64_t columns, std::int64_t head_width);

/// Cuts the gradient of a weight [in, out], summed over the rows of a shard. The tile packs both
/// operands, so tiles are large where many remain, and none is much smaller than the others.
Grid weight_gradient_grid(std::int64_t in, std::int64_t out);

/// Cuts the logits of a chunk of rows: rows x vocabulary. Tiles are wide, since each leaves a
/// maximum and a sum for every row of it, but there are several for a vocabulary of bytes, too.
Grid logit_grid(std::int64_t rows, std::int64_t vocabulary);

/// Every block of columns that logit_grid makes, except the last, has at least so many; buffers are
/// sized by it.
constexpr std::int64_t kLeastVocabularyBlock = 128;

/// Returns the rows of one tile of the pass that turns logits into their gradient.
std::int64_t loss_rows(std::int64_t rows, std::int64_t vocabulary);

/// Returns the rows whose logits exist at the same time.
std::int64_t logit_rows(std::int64_t rows, std::int64_t vocabulary);

/// Returns the most that logit_rows() says for any shard of at most `rows`: a shard cut in equal
/// chunks may have smaller chunks than a shorter shard that stays whole.
std::int64_t most_logit_rows(std::int64_t rows, std::int64_t vocabulary);

/// Returns the rows of one tile of a pass over rows (norms, embedding).
std::int64_t pass_rows(std::int64_t rows, std::int64_t width);

/// Returns the query rows of one attention tile; a multiple of 64 unless it is all of T.
std::int64_t query_rows(std::int64_t sequence);

/// Returns how many (sequence, head of keys, query block) items make one attention tile. The heads
/// of an item are `group_width` wide together.
std::int64_t heads_per_tile(std::int64_t query_rows, std::int64_t sequence,
                            std::int64_t group_width, std::int64_t items);

}  // namespace cllm
