// A training step whose tiles sleep instead of computing, so that what the schedule costs can be
// measured for more workers than there are cores.
#pragma once

#include <thread>

#include "step_schedule.h"

namespace cllm {

/// Runs the real stage of a step on the real tree. Tiles are timed as they were slept, so a late
/// timer counts as work; what is left over is the schedule's.
class SleepingStep : public StepSchedule {
 public:
  using StepSchedule::StepSchedule;

  /// `mean_ms`: how long a tile sleeps on average.
  void run(double mean_ms) {
    double sum = 0;
    std::size_t tiles = 0;
    for (const auto& job : cost_) {
      for (const auto& phase : job) {
        for (double c : phase) sum += c;
        tiles += phase.size();
      }
    }
    const double ns = 1e6 * mean_ms * static_cast<double>(tiles) / sum;
    StepInput input{};
    input.instead_of_tile = [this, ns](int, const TileClaim& claim) {
      const auto j = static_cast<std::size_t>(claim.job);
      const auto p = static_cast<std::size_t>(claim.phase);
      const auto t = static_cast<std::size_t>(claim.tile);
      const std::uint64_t start = now_ns();
      const auto sleep = static_cast<std::int64_t>(ns * cost_[j][p][t]);
      std::this_thread::sleep_for(std::chrono::nanoseconds(sleep));
      took_[j][p][t] = static_cast<double>(now_ns() - start);
    };
    const std::uint64_t start = now_ns();
    stage_->run(*tree_, input);
    wall_ = static_cast<double>(now_ns() - start);
  }

  double wall_ms() const { return 1e-6 * wall_; }
};

}  // namespace cllm
