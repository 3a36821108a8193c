#include "optim/schedule.h"

#include <algorithm>
#include <cmath>

#include "cllm/error.h"

namespace cllm {

ScheduleKind parse_schedule(const std::string& name) {
  if (name == "cosine") return ScheduleKind::kCosine;
  if (name == "linear") return ScheduleKind::kLinear;
  if (name == "constant") return ScheduleKind::kConstant;
  if (name == "wsd") return ScheduleKind::kWsd;
  throw InputError(
      {"no such schedule", "'" + name + "'", "cosine, linear, constant or wsd", "schedule", ""});
}

double Schedule::at(std::int64_t step) const {
  if (step < warmup) {
    return peak * static_cast<double>(step + 1) / static_cast<double>(warmup + 1);
  }
  // Progress is 0 at the end of warmup and 1 at the last update.
  const auto progress = [step](std::int64_t begin, std::int64_t end) {
    if (end - 1 <= begin) return 1.0;
    return std::min(1.0, static_cast<double>(step - begin) / static_cast<double>(end - 1 - begin));
  };
  switch (kind) {
    case ScheduleKind::kConstant:
      return peak;
    case ScheduleKind::kLinear:
      return peak + (floor - peak) * progress(warmup, steps);
    case ScheduleKind::kCosine: {
      constexpr double kPi = 3.141592653589793;
      return floor + 0.5 * (peak - floor) * (1 + std::cos(kPi * progress(warmup, steps)));
    }
    case ScheduleKind::kWsd: {
      const std::int64_t decay = std::max(warmup, steps - std::max<std::int64_t>(1, steps / 5));
      return step < decay ? peak : peak + (floor - peak) * progress(decay, steps);
    }
  }
  return peak;
}

}  // namespace cllm
