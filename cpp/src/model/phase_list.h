// A PhaseList is where a family's file writes down the phases of a shard: what each computes, in
// how many tiles, and what memory it reads and writes. The waits are derived from that.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "model/shard_program.h"

namespace cllm {

/// These numbers name memory that phases share. Each of the first group exists once a layer.
enum class Buffer : std::int32_t {
  kX,
  kStats1,
  kQkv,
  kLogSumExp,
  kAttended,
  kMiddle,
  kStats2,
  kActivated,
  kQkvAdapted,  // what adapters read, by the site of the linear map
  kProjectionAdapted,
  kHiddenAdapted,
  kOutputAdapted,
  kSlope,
  kQkvGradient,  // of the layer's weights and vectors, one for each operation that writes them
  kProjectionGradient,
  kHiddenGradient,
  kOutputGradient,
  kHiddenVectorGradient,
  kMiddleVectorGradient,
  kQkvVectorGradient,
  kInputVectorGradient,
  kAdapterA,  // gradients of adapters, for each site
  kAdapterB = kAdapterA + kLinearSites,
  kStatsFinal = kAdapterB + kLinearSites,
  kNormed1,
  kNormed2,
  kFeatures,
  kLogits,  // of a chunk, with the blocks' maxima and sums
  kRowLoss,
  kLoss,
  kDx,  // two in turn: layer l reads number l % 2 and writes the other
  kDmiddle,
  kDnorm,
  kDhidden,
  kDqkv,
  kDadapted,  // for each site
  kDropped = kDadapted + kLinearSites,
  kHiddenSums = kDropped + kLinearSites,
  kQkvSums,
  kNorm1Sums,
  kNorm2Sums,
  kFinalSums,
  kTokenGradient,  // of the token embedding, and of a head that is the same
  kHeadGradient,
  kFinalVectorGradient,
};

class PhaseList {
 public:
  PhaseList(const ShardCuts& cuts, Pass pass) : cuts_(cuts), pass_(pass) {}

  std::vector<Phase> take() { return std::move(phases_); }

 protected:
  using Accesses = std::vector<Access>;

  // -- what a phase reads and writes
  Access access(Buffer buffer, std::int64_t layer, Range rows, bool writes) const {
    const bool kept = buffer == Buffer::kX ? trains(pass_) : !shares_layers(pass_);
    const std::int64_t at = buffer <= Buffer::kSlope && !kept ? 0 : layer;
    const std::int64_t number = static_cast<std::int64_t>(buffer) * (cuts_.config.layers + 2) + at;
    return {static_cast<std::int32_t>(number), rows, writes};
  }
  Access reads(Buffer buffer, std::int64_t layer, Range rows) const {
    return access(buffer, layer, rows, false);
  }
  Access writes(Buffer buffer, std::int64_t layer, Range rows) const {
    return access(buffer, layer, rows, true);
  }
  Access reads(Buffer buffer, Range rows) const { return access(buffer, 0, rows, false); }
  Access writes(Buffer buffer, Range rows) const { return access(buffer, 0, rows, true); }
  Range all() const { return {0, cuts_.shape.rows()}; }
  Range in_shard(std::int64_t chunk, Range rows) const {
    const std::int64_t first = chunk * cuts_.chunk_rows;
    return {first + rows.begin, first + rows.end};
  }
  static std::int64_t above(std::int64_t layer) { return layer % 2; }
  static std::int64_t below(std::int64_t layer) { return (layer + 1) % 2; }

  // -- phases of an operation
  void add(Phase phase) { phases_.push_back(std::move(phase)); }
  void add(Op op, std::int64_t layer, std::int64_t tiles, Accesses accesses) {
    phases_.push_back(
        {op, layer, 0, 0, 1, static_cast<std::int32_t>(tiles), all(), std::move(accesses)});
  }

  /// Adds tiles of a linear map, each of which needs all rows.
  void add(Op op, LinearSite site, std::int64_t layer, std::int64_t tiles, Accesses accesses) {
    add(op, layer, tiles, std::move(accesses));
    phases_.back().site = site;
  }

  /// Adds one phase for the tiles of each row of `grid`; `accesses` gives those of its rows.
  template <class AccessesOf>
  void product(Op op, std::int64_t layer, const Grid& grid, AccessesOf accesses,
               std::int64_t chunk = 0, LinearSite site = {}) {
    for (std::int64_t r = 0; r < grid.row_tiles(); ++r) {
      const Range range = grid.row_range(r);
      phases_.push_back({op, layer, chunk, r, grid.row_tiles(),
                         static_cast<std::int32_t>(grid.column_tiles()), in_shard(chunk, range),
                         accesses(range), site});
    }
  }

  /// Adds tiles of `tile_rows` of `rows` rows. A phase has as many of them as fit into the rows of
  /// a product's tile.
  template <class AccessesOf>
  void pass(Op op, std::int64_t layer, std::int64_t rows, std::int64_t tile_rows,
            AccessesOf accesses, std::int64_t chunk = 0) {
    const std::int64_t tiles = ceil_div(rows, tile_rows);
    const std::int64_t some = std::max<std::int64_t>(1, cuts_.lane_rows() / tile_rows);
    for (std::int64_t first = 0; first < tiles; first += some) {
      const std::int64_t count = std::min(some, tiles - first);
      const Range range{first * tile_rows, std::min(rows, (first + count) * tile_rows)};
      phases_.push_back({op, layer, chunk, first, 1, static_cast<std::int32_t>(count),
                         in_shard(chunk, range), accesses(range)});
    }
  }
  template <class AccessesOf>
  void pass(Op op, std::int64_t layer, AccessesOf accesses) {
    pass(op, layer, cuts_.shape.rows(), cuts_.pass_rows, accesses);
  }

  static Accesses joined(Accesses a, const Accesses& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
  Accesses fused(Accesses a, const Accesses& pass) const {
    return cuts_.whole_rows ? joined(std::move(a), pass) : a;
  }

  bool is_trained(std::int64_t weight) const { return cuts_.layout->trains(weight); }

  const ShardCuts& cuts_;
  const Pass pass_;

 private:
  std::vector<Phase> phases_;
};

}  // namespace cllm
