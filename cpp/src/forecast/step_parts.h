// StepParts measures what the workers' time in steps is spent on, tile by tile, when a benchmark
// asks for it.
#pragma once

#include <array>
#include <vector>

#include "cllm/bench.h"
#include "engine/session.h"
#include "model/tile_calls.h"

namespace cllm {

class StepParts {
 public:
  /// Makes the session that will be made of `config` tell this object of every tile. REQUIRES: it
  /// outlives the session.
  explicit StepParts(SessionConfig& config);

  /// Sets all times to zero and starts to count. Before that, a tile costs one look at a flag.
  /// REQUIRES: `session` is made of the configuration; no step is running.
  void start(const Session& session);

  /// Returns each part's share of a step in milliseconds of worker time; the rest of `workers`
  /// times `seconds` is waiting. REQUIRES: `steps` were run since start(), in so many seconds.
  std::vector<PartTime> report(std::int64_t steps, double seconds, std::int64_t workers) const;

 private:
  /// Numbers what a step does besides the phases of shards, after their parts.
  enum Other : std::size_t { kPacking = kParts, kLattice, kReduction, kOptimizer, kAll };
  void add(int worker, const TileClaim& claim, std::uint64_t nanoseconds);

  struct alignas(128) Slot {
    std::array<std::uint64_t, kAll> ns{};
  };
  // The root writes it between steps.
  const Session* session_ = nullptr;
  std::vector<Slot> slots_;  // by worker, the root last
};

}  // namespace cllm
