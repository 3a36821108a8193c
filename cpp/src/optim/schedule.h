// Learning rates are pure functions of the step.
#pragma once

#include <cstdint>
#include <string>

namespace cllm {

enum class ScheduleKind { kCosine, kLinear, kConstant, kWsd };

/// Parses "cosine", "linear", "constant" or "wsd" (warmup, stable, decay over the last fifth, at
/// least one step: Hu et al. 2024). Throws InputError for another name.
ScheduleKind parse_schedule(const std::string& name);

struct Schedule {
  ScheduleKind kind = ScheduleKind::kCosine;
  double peak = 1e-3;
  double floor = 1e-4;      ///< reached at the last step
  std::int64_t warmup = 0;  ///< steps of linear rise from peak / (warmup + 1)
  std::int64_t steps = 1;   ///< in the whole run

  /// Returns the rate of update `step`, counted from 0.
  double at(std::int64_t step) const;
};

}  // namespace cllm
