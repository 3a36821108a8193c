#include "model/tiling.h"

#include <numeric>

#include "cpu/product_kernels.h"

namespace cllm {
namespace {

// So many tiles let a team of workers end a phase together, whatever its size.
constexpr std::int64_t kGoodTiles = 16;

std::int64_t round_up(std::int64_t n, std::int64_t step) { return ceil_div(n, step) * step; }

/// Returns a grid with as many tiles but no small ones at the ends.
Grid levelled(Grid grid) {
  grid.tile_rows = round_up(ceil_div(grid.rows, grid.row_tiles()), 16);
  grid.tile_columns = round_up(ceil_div(grid.columns, grid.column_tiles()), 64);
  return grid;
}

constexpr std::int64_t kMostProductRows = 512;

/// Returns the columns of a tile of whole heads, which begins where packed weights have a panel.
std::int64_t head_columns(std::int64_t head_width) {
  return round_up(kProductColumns, std::lcm(kPackedColumns, head_width));
}

}  // namespace

Grid product_grid(std::int64_t rows, std::int64_t columns, std::int64_t width,
                  WeightLayout weights) {
  constexpr std::int64_t kFewestRows = 128, kPackedRows = 64;
  Grid grid{rows, columns, std::min(rows, kMostProductRows), std::min(columns, kProductColumns)};
  if (weights == WeightLayout::kPacked) {
    grid.tile_rows = std::min(rows, width <= kProductColumns ? kFewestRows : kPackedRows);
    return grid;
  }
  while (grid.tiles() < kGoodTiles && grid.tile_rows >= 2 * kFewestRows) {
    grid.tile_rows = round_up(ceil_div(grid.tile_rows, 2), 16);
  }
  return grid;
}

Grid grid_of_heads(Grid grid, std::int64_t head_width) {
  grid.tile_columns = std::min(grid.columns, head_columns(head_width));
  return grid;
}

std::int64_t most_product_tile(std::int64_t rows) {
  return std::min(rows, kMostProductRows) * kProductColumns;
}

std::int64_t most_tile_of_heads(std::int64_t rows, std::int64_t columns, std::int64_t head_width) {
  return std::min(rows, kMostProductRows) * std::min(columns, head_columns(head_width));
}

Grid weight_gradient_grid(std::int64_t in, std::int64_t out) {
  constexpr std::int64_t kMostRows = 384, kFewestRows = 48, kColumns = 128;
  Grid grid{in, out, std::min(in, kMostRows), std::min(out, kColumns)};
  while (grid.tiles() < kGoodTiles && grid.tile_rows >= 2 * kFewestRows) {
    grid.tile_rows = round_up(ceil_div(grid.tile_rows, 2), 16);
  }
  // A tile packs both operands, so wider ones are faster, and among tiles of one size the squarest.
  constexpr std::int64_t kWideRows = 192, kManyTiles = 48;
  for (const std::int64_t columns : {384, 256}) {
    const Grid wide{in, out, std::min(in, kWideRows), std::min(out, columns)};
    if (wide.tiles() >= std::min<std::int64_t>(kManyTiles, grid.tiles())) return levelled(wide);
  }
  return levelled(grid);
}

Grid logit_grid(std::int64_t rows, std::int64_t vocabulary) {
  constexpr std::int64_t kMostRows = 512, kFewestRows = 128, kMostColumns = 512;
  Grid grid{rows, vocabulary, std::min(rows, kMostRows), std::min(vocabulary, kMostColumns)};
  while (grid.tiles() < kGoodTiles && grid.tile_columns >= 2 * kLeastVocabularyBlock) {
    grid.tile_columns = round_up(ceil_div(grid.tile_columns, 2), 64);
  }
  while (grid.tiles() < kGoodTiles && grid.tile_rows >= 2 * kFewestRows) {
    grid.tile_rows = round_up(ceil_div(grid.tile_rows, 2), 16);
  }
  return grid;
}

std::int64_t loss_rows(std::int64_t rows, std::int64_t vocabulary) {
  constexpr std::int64_t kElements = 65536;
  return std::min(rows, std::max<std::int64_t>(4, kElements / vocabulary / 16 * 16));
}

std::int64_t logit_rows(std::int64_t rows, std::int64_t vocabulary) {
  const std::int64_t fit = most_logit_rows(rows, vocabulary);
  if (rows <= fit) return rows;
  return round_up(ceil_div(rows, ceil_div(rows, fit)), 16);
}

std::int64_t most_logit_rows(std::int64_t rows, std::int64_t vocabulary) {
  constexpr std::int64_t kMostLogits = std::int64_t{32} << 20;
  constexpr std::int64_t kFewestRows = 128;
  return std::min(rows, std::max(kFewestRows, kMostLogits / vocabulary / 64 * 64));
}

std::int64_t pass_rows(std::int64_t rows, std::int64_t width) {
  constexpr std::int64_t kElements = 16384;
  return std::min(rows, std::max<std::int64_t>(16, kElements / width / 16 * 16));
}

std::int64_t query_rows(std::int64_t sequence) {
  constexpr std::int64_t kRows = 256;
  return sequence < 2 * kRows ? sequence : kRows;
}

std::int64_t heads_per_tile(std::int64_t query_rows, std::int64_t sequence,
                            std::int64_t group_width, std::int64_t items) {
  constexpr std::int64_t kWork = 1 << 20;  // multiply-adds: about 10 us
  const std::int64_t work = query_rows * sequence * group_width;
  return std::clamp<std::int64_t>(kWork / std::max<std::int64_t>(1, work), 1,
                                  std::max<std::int64_t>(1, items / kGoodTiles));
}

}  // namespace cllm
