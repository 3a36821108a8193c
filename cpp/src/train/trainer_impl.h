// What a Trainer holds.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/trainer_state.h"
#include "cllm/trainer.h"
#include "telemetry/json_lines.h"
#include "train/run_plan.h"
#include "train/sphere_window.h"
#include "train/step_batches.h"

namespace cllm {

class Trainer::Impl {
 public:
  explicit Impl(const TrainConfig& config);

  StepReport step();
  StepReport step(const TokenArray& inputs, const TokenArray& targets);
  EvaluationReport evaluate(const std::function<bool()>& asked);
  void resize(std::int64_t workers);
  void save(const std::string& folder) const;
  RunOutcome run(TrainObserver& observer);

  RunPlan plan;
  Session session;
  StepBatches batches;
  std::optional<SphereWindow> window;
  std::atomic<bool> stop{false};
  std::atomic<bool> save_wanted{false};
  std::int64_t steps_done = 0;
  bool has_gradient = false;

 private:
  void start_weights();
  void resume();
  TrainerState trainer_state() const;
  StepReport run_step(const StepBatch& batch, std::function<void()> meanwhile);
  void open_run_folder();
  void save_checkpoint(TrainObserver& observer);
  void evaluate_and_tell(TrainObserver& observer);
  bool stopping(TrainObserver& observer);
  void tell_choice(TrainObserver& observer);
  void write_counts();
  bool due(std::int64_t interval) const noexcept {
    return interval > 0 && steps_done % interval == 0;
  }

  std::optional<EvaluationWindows> windows_;
  double peak_gflops_;  // of one core
  std::int64_t saved_step_ = -1;
  int chosen_ = 0;  // workers, as last told
  std::optional<JsonLines> metrics_, spheres_, groups_;
};

}  // namespace cllm
