// A sleeping step is a training step whose tiles sleep instead of computing, so that the cost of
// the schedule can be measured for more workers than there are cores.
#pragma once

#include <sys/prctl.h>

#include <memory>
#include <thread>

#include "base/clock.h"
#include "cpu/features.h"
#include "engine/train_stage.h"
#include "step_schedule.h"

namespace cllm {

/// Runs the real stage of a step on the real tree. Tiles count with the time that they really
/// slept, so a late timer counts as work; the rest is the schedule's.
class SleepingStep {
 public:
  SleepingStep(const ScheduleCase& c, int workers)
      : plan_(c, workers),
        state_(plan_.model),
        pool_(workers, GemmBackend::kNative, kernels(), 16),
        took_(plan_.costs),
        tree_(std::make_unique<SphereTree>(plan_.tree, options())) {
    if (plan_.packed_tiles > 0) {
      state_.packed = std::make_unique<PackedWeights>(plan_.layout, Precision::kFp32);
    }
    stage_ = std::make_unique<TrainStage>(plan_.batch, state_, kernels(), pool_, *tree_);
  }

  /// Runs the step; `mean_ms` is how long a tile sleeps on average.
  void run(double mean_ms) {
    const double ns = 1e6 * mean_ms * static_cast<double>(tiles()) / plan_.work;
    StepInput input{};
    input.counted = 1;
    input.instead_of_tile = [this, ns](int, const TileClaim& claim) {
      const std::uint64_t start = now_ns();
      const auto sleep = static_cast<std::int64_t>(ns * at(plan_.costs, claim));
      std::this_thread::sleep_for(std::chrono::nanoseconds(sleep));
      at(took_, claim) = static_cast<double>(now_ns() - start);
    };
    const std::uint64_t start = now_ns();
    stage_->run(*tree_, input);
    wall_ = static_cast<double>(now_ns() - start);
  }

  std::size_t tiles() const { return plan_.tiles; }
  /// These describe the last run: its time, and the share of it that its tiles needed at least.
  double wall_ms() const { return 1e-6 * wall_; }
  double efficiency() const { return plan_.ideal(took_) / wall_; }

 private:
  static TreeOptions options() {
    TreeOptions options;
    options.cores = 1;  // sleepers leave the cores to others: no thread may spin
    options.activate_all = true;
    options.prepare_worker = [](int) { prctl(PR_SET_TIMERSLACK, 1); };
    return options;
  }

  StepSchedule plan_;
  ModelState state_;
  WorkerPool pool_;
  TileTable took_;
  std::unique_ptr<TrainStage> stage_;
  std::unique_ptr<SphereTree> tree_;  // ends first: its threads may look at the stage
  double wall_ = 0;
};

}  // namespace cllm
