// Owners are fixed sets of blocks, so that the same threads compute norms of, update and first
// touch the same memory in every step. Cores that share no cache read what another core wrote at a
// third of the speed.
#pragma once

#include <cstdint>
#include <vector>

#include "base/span.h"
#include "model/tensor_table.h"

namespace cllm {

/// Cuts a row of things into `owners` runs of neighbours of about the same weight; no run is empty.
/// Run o is [result[o], result[o + 1]). REQUIRES: 1 <= owners <= weights.size().
std::vector<std::int32_t> deal_runs(Span<const std::int64_t> weights, int owners);

/// Deals the blocks of a table to owners, in runs of about the same number of elements. Immutable
/// after construction.
class OwnedBlocks {
 public:
  /// Makes runs for `owners` owners, or one for each block where there are fewer blocks.
  OwnedBlocks(const TensorTable& table, int owners);

  int owners() const noexcept { return static_cast<int>(begins_.size()) - 1; }
  /// These say how many blocks an owner has (at least 1), and the index of its i-th block.
  std::int32_t count(int owner) const noexcept { return begin(owner + 1) - begin(owner); }
  std::size_t block(int owner, std::int32_t i) const noexcept {
    return static_cast<std::size_t>(begin(owner) + i);
  }

 private:
  std::int32_t begin(int owner) const noexcept { return begins_[static_cast<std::size_t>(owner)]; }

  std::vector<std::int32_t> begins_;  // [owners + 1]
};

}  // namespace cllm
