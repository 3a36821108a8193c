// A TrainerCore is what a Trainer is made of: the plan, the session, the batches, and the state
// that a step changes.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_folder.h"
#include "cllm/trainer.h"
#include "data/evaluation_rows.h"
#include "engine/sphere_window.h"
#include "engine/step_batches.h"
#include "machine/gemm_peak.h"
#include "setup/run_plan.h"

namespace cllm {

/// Makes steps and evaluations and holds the state of a run, without its folder, which belongs to
/// RunLoop. Thread safety: the same as Trainer's.
class TrainerCore {
 public:
  explicit TrainerCore(RunPlan run_plan);

  StepReport step();
  StepReport step(const TokenArray& inputs, const TokenArray& targets,
                  const TokenArray& first_keys);
  /// Says whether the last call of step() was given up before the update because the session's
  /// cancel flag was set: then nothing has changed and its report has no meaning.
  bool cancelled() const noexcept { return cancelled_; }
  /// Evaluates now. The loss is NaN when `asked` ended it early.
  EvaluationReport evaluate(const std::function<bool()>& asked);
  /// Evaluates all of other data. Throws InputError for data that the model cannot read.
  EvaluationReport evaluate(const TokenSource& source, const std::function<bool()>& asked);
  bool can_evaluate() const noexcept { return rows_ != nullptr; }
  /// Returns what an evaluation predicts. REQUIRES: can_evaluate().
  const EvaluationRows& rows() const noexcept { return *rows_; }
  void resize(std::int64_t workers);

  /// Returns what a checkpoint made now records beside weights and moments. With `waits` it waits
  /// for the hash of large data, which takes as long as reading the data; a stop does not wait.
  TrainerState trainer_state(bool waits = true) const;
  /// Returns the optimizer's state as a checkpoint holds it.
  std::vector<OptimizerRange<const float>> optimizer_ranges() const;
  /// Writes a checkpoint now and returns the note of write_checkpoint. Throws Error when a weight
  /// or moment is not finite.
  std::string save(const std::string& folder);
  /// Throws Error, which names the tensor, when a weight or moment is not finite.
  void check_finite() const;

  /// Goes back to a checkpoint of this run, or with "" to the weights that it started from
  /// and the rates of the schedule.
  void restore(const std::string& checkpoint);
  /// Multiplies every later learning rate; it is 1 unless the run was rolled back.
  void set_rate_scale(double scale);
  double rate_scale() const noexcept { return rate_scale_; }
  /// Sets the rate that the scale multiplies, in place of the schedule's; nothing: the schedule's.
  void set_rate(std::optional<double> rate);

  /// Returns the first tensor whose gradient, as the optimizer takes it, was not finite in the last
  /// step; "" when there is none.
  std::string first_bad_gradient() const;

  RunPlan plan;
  Session session;
  StepBatches batches;
  std::optional<SphereWindow> window;
  std::atomic<bool> stop{false};            ///< any thread may set it
  std::atomic<bool> save_requested{false};  ///< any thread may set it
  std::atomic<std::int64_t> steps_done{0};  ///< any thread may read it
  bool has_gradient = false;
  std::uint64_t preparing_ns = 0;  ///< that making it took, until a run has counted them

 private:
  void start_weights();
  void start_adapters();
  /// Reads the model that training starts from, or that stays beside adapters.
  void read_init();
  /// Does so for a run that continues. Throws InputError unless its adapters belong to that model.
  void read_base(const TrainerState& saved);
  /// Reads once more, of the model beside adapters, what is trained whole. Throws the same.
  void read_trained_again();
  void check_base(const BaseModel& now, const std::optional<BaseModel>& before) const;
  void resume();
  void read_state(const std::string& checkpoint);
  void note_changes(const TrainerState& saved);
  StepReport run_step(const StepBatch& batch, std::function<void()> meanwhile);
  /// Returns the floating-point operations of a step in which so many targets are counted.
  double step_flops(std::int64_t counted) const;

  std::unique_ptr<const EvaluationRows> rows_;  // that evaluate() predicts
  double rate_scale_ = 1;
  std::optional<double> rate_;
  std::optional<BaseModel> base_;  // once it was read; null: no adapters
  bool cancelled_ = false;
  PeakRate peak_;
};

}  // namespace cllm
