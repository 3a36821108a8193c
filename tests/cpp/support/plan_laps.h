// These are made-up phases of jobs, and jobs whose phases come several times in a row.
#pragma once

#include <numeric>
#include <utility>

#include "spheres/laps.h"

namespace cllm {

/// Appends a phase that waits for about half of the earlier ones; `up_to(n)` is a number from 1 to
/// n.
template <class UpTo>
void add_phase(JobPlan& plan, std::int32_t tiles, UpTo up_to) {
  PhasePlan phase{tiles, {}, up_to(3) - 1};
  for (std::int32_t before = 0; before < static_cast<std::int32_t>(plan.phases.size()); ++before) {
    if (up_to(2) == 1) phase.after.push_back(before);
  }
  plan.phases.push_back(std::move(phase));
}

/// Appends the first `once` phases; those that wait for nothing then wait for the `once` phases
/// before.
inline void add_lap(JobPlan& plan, std::int32_t once, std::int32_t first, int times) {
  for (std::int32_t p = 0; p < once; ++p) {
    PhasePlan phase = plan.phases[static_cast<std::size_t>(p)];
    for (std::int32_t& before : phase.after) before += first;
    if (phase.after.empty()) {
      phase.after.resize(static_cast<std::size_t>(once));
      std::iota(phase.after.begin(), phase.after.end(), first - once);
    }
    plan.phases.push_back(std::move(phase));
  }
  plan.laps.push_back({once, times});
}

/// Appends the same phases `times` more in a row, and once more with a phase before that.
inline void add_laps(JobPlan& plan, int times) {
  const auto once = static_cast<std::int32_t>(plan.phases.size());
  plan.laps = {{once, 1}};
  add_lap(plan, once, once, times);
  plan.phases.push_back({2, {once * (times + 1) - 1}, 1});
  plan.laps.push_back({1, 1});
  add_lap(plan, once, once * (times + 1) + 1, 1);
}

}  // namespace cllm
