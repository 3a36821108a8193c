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

/// Neighbouring phases of a job that come several times in a row.
struct Lap {
  std::int32_t phases = 0;
  std::int32_t times = 1;
};

/// What a job is, fixed before threads exist.
struct JobPlan {
  /// A phase's number is its place among all as they come, so one of a lap has a number for each
  /// time.
  std::vector<PhasePlan> phases;
  /// How often they come: the first laps[0].phases of them, and so on. Empty: each once. In a lap
  /// that comes more than once every phase waits for some, `after` is that of the first time, and
  /// what it names moves on by the lap's length with each time. So it names nothing further back
  /// than that length, and of another lap only the last time. Whoever plans it makes sure that
  /// everything of one time has ended before anything of the second one after it opens.
  std::vector<Lap> laps;
  std::int32_t arrivals = 1;             ///< how many predecessors open it
  std::vector<std::int32_t> successors;  ///< jobs that it arrives at when it is finished
  bool reports = false;                  ///< its end is told to the root (Done)
  int owner = -1;                        ///< its workers look here first; -1: nobody's
};

/// A claimed tile, or nothing.
struct TileClaim {
  std::int32_t job = -1;
  std::int32_t phase = 0;  ///< from 0
  std::int32_t tile = 0;
  explicit operator bool() const noexcept { return job >= 0; }
};

}  // namespace cllm
