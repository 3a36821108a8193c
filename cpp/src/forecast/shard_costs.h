// How long a tile takes, from the times of the kernels that it calls.
#pragma once

#include "machine/kernel_clock.h"
#include "model/shard_program.h"

namespace cllm {

/// Where a step's operands are: what a worker's calls wander through, in KiB.
struct Footprints {
  std::int64_t activations;  ///< of the positions that are open
  std::int64_t gradients;    ///< all copies
  std::int64_t optimizer;    ///< parameters, gradient and moments
};

/// What a tile's time is made of.
struct TileTime {
  double product = 0;  ///< inside products
  double pass = 0;     ///< in all the rest
  double sum() const noexcept { return product + pass; }
};

/// Nanoseconds of a tile of the phase, 0 <= tile < tiles.
TileTime tile_time(const KernelClock& clock, const Footprints& footprints, const ShardCuts& cuts,
                   const Phase& phase, std::int32_t tile, Precision precision = Precision::kFp32);

}  // namespace cllm
