// Laps tell where a phase of a job stands in its plan, which lists the phases of a lap only once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "spheres/job_plan.h"

namespace cllm {

/// Immutable after construction.
class Laps {
 public:
  /// Describes a lap of the plan, or all its phases if it has no laps.
  struct Part {
    std::int32_t first;   ///< number of its first phase, the first time
    std::int32_t listed;  ///< index of that phase in the plan
    std::int32_t phases, times;
  };
  struct Place {
    const Part* part = nullptr;
    std::int32_t time = 0;    ///< which repetition, from 0
    std::int32_t listed = 0;  ///< index in the plan
  };

  Laps() = default;
  explicit Laps(const JobPlan& plan) {
    std::vector<Lap> laps = plan.laps;
    if (laps.empty()) laps = {{static_cast<std::int32_t>(plan.phases.size()), 1}};
    std::int32_t listed = 0;
    for (const Lap& lap : laps) {
      parts_.push_back({phases_, listed, lap.phases, lap.times});
      phases_ += lap.phases * lap.times;
      listed += lap.phases;
    }
  }

  const std::vector<Part>& parts() const noexcept { return parts_; }
  /// Counts the phases, every repetition by itself.
  std::int32_t phases() const noexcept { return phases_; }

  Place place(std::int32_t phase) const noexcept {
    const Part* part = parts_.data();
    for (const Part* const last = part + parts_.size() - 1; part != last; ++part) {
      if (phase < part[1].first) break;
    }
    const std::int32_t in = phase - part->first;
    if (part->times == 1) return {part, 0, part->listed + in};
    return {part, in / part->phases, part->listed + in % part->phases};
  }

  /// Returns the place of a phase of the plan, the first time it comes.
  Place first_time(std::int32_t listed) const noexcept {
    const Part* part = parts_.data();
    while (listed >= part->listed + part->phases) ++part;
    return {part, 0, listed};
  }

 private:
  std::vector<Part> parts_;
  std::int32_t phases_ = 0;
};

/// Counts the tiles of a job, every repetition of a lap by itself.
inline std::int64_t count_tiles(const JobPlan& plan) {
  std::int64_t tiles = 0;
  const Laps laps(plan);
  for (const Laps::Part& part : laps.parts()) {
    for (std::int32_t p = part.listed; p < part.listed + part.phases; ++p) {
      tiles += std::int64_t{plan.phases[static_cast<std::size_t>(p)].tiles} * part.times;
    }
  }
  return tiles;
}

/// Writes out the phases of a job without laps, each as often as it comes.
inline std::vector<PhasePlan> unrolled(const JobPlan& plan) {
  std::vector<PhasePlan> all;
  const Laps laps(plan);
  for (std::int32_t phase = 0; phase < laps.phases(); ++phase) {
    const Laps::Place place = laps.place(phase);
    all.push_back(plan.phases[static_cast<std::size_t>(place.listed)]);
    for (std::int32_t& before : all.back().after) before += place.time * place.part->phases;
  }
  return all;
}

}  // namespace cllm
