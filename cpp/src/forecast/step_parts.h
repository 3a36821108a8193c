// What the workers' time in steps was spent on: measured tile by tile, where a benchmark asks for
// it.
#pragma once

#include <array>
#include <vector>

#include "cllm/bench.h"
#include "engine/session.h"
#include "model/tile_calls.h"

namespace cllm {

class StepParts {
 public:
  /// Asks the session that will be made of `config` to tell this object of every tile.
  /// REQUIRES: outlives the session.
  explicit StepParts(SessionConfig& config);

  /// From now on, with nothing counted yet. REQUIRES: `session` is made of the configuration, no
  /// step is being run. Until then a tile costs a look at a flag.
  void start(const Session& session);

  /// Each part's share of a step in milliseconds of worker time, with what is left of `workers`
  /// times `seconds` as waiting. REQUIRES: `steps` were run since start(), in so many seconds.
  std::vector<PartTime> report(std::int64_t steps, double seconds, std::int64_t workers) const;

 private:
  /// What a step does besides the phases of shards, behind their parts.
  enum Other : std::size_t { kPacking = kParts, kReduction, kOptimizer, kAll };
  void add(int worker, const TileClaim& claim, std::uint64_t nanoseconds);

  struct alignas(128) Slot {
    std::array<std::uint64_t, kAll> ns{};
  };
  // Written by the root between steps.
  const Session* session_ = nullptr;
  std::vector<Slot> slots_;  // by worker, the root behind them
};

}  // namespace cllm
