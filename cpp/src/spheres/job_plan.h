// The plans say what jobs, phases and tiles are. They are fixed before threads exist; all threads
// read them.
#pragma once

#include <cstdint>
#include <vector>

namespace cllm {

/// A phase is tiles that open together and may run at the same time.
struct PhasePlan {
  std::int32_t tiles = 1;           ///< at least 1
  std::vector<std::int32_t> after;  ///< earlier phases, from 0, that must end first; no duplicates
  /// From 1 on: the phase works on one part of the job's rows, and should stay with the worker who
  /// made them. 0: it works on no rows or on all.
  std::int32_t strand = 0;
};

/// A lap is a few neighbouring phases of a job that come several times in a row.
struct Lap {
  std::int32_t phases = 0;
  std::int32_t times = 1;
};

/// Says what a job is; it is fixed before threads exist.
struct JobPlan {
  /// A phase's number is its place in the sequence in which all phases come, so a phase of a lap
  /// has one number for each time.
  std::vector<PhasePlan> phases;
  /// How often the phases come: laps[0] covers the first laps[0].phases of them, and so on. Empty:
  /// each comes once. In a lap that comes more than once, every phase waits for at least one other.
  /// Its `after` is written for the first time; with each further time the numbers in it move on by
  /// the lap's length. It may therefore name phases at most that length back, and of another lap
  /// only those of its last time. The planner must ensure that everything of time t has ended
  /// before anything of time t + 2 opens.
  std::vector<Lap> laps;
  std::int32_t arrivals = 1;             ///< how many predecessors must arrive to open it
  std::vector<std::int32_t> successors;  ///< jobs that it arrives at when it is finished
  bool reports = false;                  ///< the root is told when it ends (Done)
  int owner = -1;                        ///< the owner whose workers look here first; -1: none
};

/// Names a claimed tile, or nothing.
struct TileClaim {
  std::int32_t job = -1;
  std::int32_t phase = 0;  ///< from 0
  std::int32_t tile = 0;
  explicit operator bool() const noexcept { return job >= 0; }
};

}  // namespace cllm
