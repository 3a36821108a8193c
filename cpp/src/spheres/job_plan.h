// What jobs, phases and tiles are: fixed before threads exist, read by all.
#pragma once

#include <cstdint>
#include <vector>

namespace cllm {

/// Tiles that open together and may run at the same time.
struct PhasePlan {
  std::int32_t tiles = 1;           ///< at least 1
  std::vector<std::int32_t> after;  ///< earlier phases that must be finished, from 0, no doubles
  /// From 1: of one part of the job's rows, which whoever made them had better go on with. 0: of no
  /// rows or of all.
  std::int32_t strand = 0;
};

/// What a job is, fixed before threads exist.
struct JobPlan {
  std::vector<PhasePlan> phases;
  std::int32_t arrivals = 1;             ///< how many predecessors open it
  std::vector<std::int32_t> successors;  ///< jobs that it arrives at when it is finished
  bool reports = false;                  ///< its end is told to the root (Done)
  int owner = -1;                        ///< its workers look here first; -1: nobody's

  std::int32_t tiles() const noexcept {
    std::int32_t n = 0;
    for (const PhasePlan& p : phases) n += p.tiles;
    return n;
  }
};

/// A claimed tile, or nothing.
struct TileClaim {
  std::int32_t job = -1;
  std::int32_t phase = 0;  ///< from 0
  std::int32_t tile = 0;
  explicit operator bool() const noexcept { return job >= 0; }
};

}  // namespace cllm
