// A Session trains a model on a tree of spheres. Trainer and the tests drive it; it knows no files.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "data/evaluation_rows.h"
#include "engine/evaluate_stage.h"
#include "engine/model_state.h"
#include "engine/session_config.h"
#include "engine/touch_stage.h"
#include "engine/train_stage.h"
#include "engine/worker_pool.h"
#include "engine/worker_tuner.h"
#include "spheres/tree.h"

namespace cllm {

/// Trains and evaluates. Thread safety: one thread at a time, which is the root of the tree while a
/// call runs.
class Session {
 public:
  explicit Session(const SessionConfig& config);

  /// Makes one update from rows[B, T]. `step` (from 0) decides the learning rate and, with
  /// `sequences`[B], the dropout: what a sequence drops depends on its number there, or on its
  /// index when there are no numbers. `meanwhile` runs on the calling thread while the workers
  /// compute. Without a counted target there is nothing to compute: the update is skipped.
  StepOutcome step(std::int64_t step, const TokenRows& rows,
                   std::function<void()> meanwhile = nullptr,
                   const std::int64_t* sequences = nullptr);

  /// Makes the effective embedding of a coupled model in state(), for whoever reads the parameters
  /// next: steps and evaluations make it themselves. Without a lattice it does nothing. It runs on
  /// the calling thread alone, so that a model can be saved whose threads are gone: after a failed
  /// step, and in a process that fork made.
  void fold() noexcept;

  /// Returns the mean loss over the rows; NaN when `stop` said so. What it makes for rounds of
  /// that many rows, it keeps for later calls until the next resize.
  double evaluate(const EvaluationRows& rows, const std::function<bool()>& stop = nullptr);

  /// Sets the flag by which any thread can cancel at any moment. When the flag is set, the running
  /// step or evaluation, or else the next one, ends as soon as each worker has finished its tile. A
  /// step is then either cancelled and has changed nothing, or it had already been decided and is
  /// complete; an evaluation returns NaN. A step without targets ends on its own. The flag must
  /// outlive the session, which never writes it; null: none.
  void set_cancel(const std::atomic<bool>* flag) noexcept { cancel_ = flag; }

  /// Makes another number of spheres around the same model: no bit of any later result changes. All
  /// of them compute from then on. When the system has no more threads or memory, it throws and the
  /// session stays as it was.
  void resize(std::int64_t threads);

  /// Lets the first `workers` compute from the next step on, while the others sleep: no bit
  /// changes. REQUIRES: 1 to tree().most_active_workers().
  void set_active(int workers);

  /// Multiplies every learning rate of the schedule from the next step on; 1 at first.
  void set_rate_scale(double scale) noexcept { rate_scale_ = scale; }
  /// Sets the learning rate that the scale multiplies from the next step on, in place of the
  /// schedule's; nothing: the schedule's again.
  void set_rate(std::optional<double> rate) noexcept { rate_ = rate; }
  /// Returns the learning rate of `step`.
  double learning_rate(std::int64_t step) const {
    return rate_scale_ * (rate_ ? *rate_ : config_.schedule.at(step));
  }

  /// Returns what tune_workers has found; without tune_workers it is settled at once.
  const WorkerTuner& tuner() const noexcept { return tuner_; }

  const SessionConfig& config() const noexcept { return config_; }
  const BatchPlan& plan() const noexcept { return plan_; }
  ModelState& state() noexcept { return *state_; }
  const ModelState& state() const noexcept { return *state_; }
  /// Returns the ranges of the optimizer, which are in state().optimizer_state.
  const std::vector<StateRange>& state_ranges() const noexcept { return optimizer_->ranges(); }
  const SphereTree& tree() const noexcept { return *crew_->tree; }
  /// Returns the gradient of the last step, before clipping: the layout's flat range. REQUIRES: a
  /// step since construction or resize, and the last one was not cancelled.
  const float* gradient() const noexcept { return crew_->train->gradient(); }

  /// Benchmarks use these: what the tiles of a step are for, and the time inside products since the
  /// last call. REQUIRES for the latter: time_products; called on the worker's thread.
  const TrainStage& stage() const noexcept { return *crew_->train; }
  /// Returns the memory that passes work in; nothing in it outlives a step or an evaluation.
  Span<float> workspace_memory() const noexcept { return crew_->train->workspace_memory(); }
  std::uint64_t take_product_ns(int worker) const noexcept {
    return crew_->workers.take_product_ns(worker);
  }

  /// These own the memory behind state() and gradient(), for views that may outlive the session.
  std::shared_ptr<ModelState> shared_state() const noexcept { return state_; }
  std::shared_ptr<const void> gradient_owner() const noexcept { return crew_->train; }

 private:
  /// Holds the threads and everything that is made for their number.
  struct Crew {
    Crew(const SessionConfig& config, const BatchPlan& plan, ModelState& state);

    WorkerPool workers;
    // The stages outlive the tree, because its threads may look at them until they are joined.
    std::unique_ptr<TouchStage> touch;
    std::shared_ptr<TrainStage> train;
    std::map<std::int64_t, std::unique_ptr<EvaluateStage>> evaluate;  // by rows of a round
    std::unique_ptr<SphereTree> tree;
  };

  SessionConfig config_;
  const BatchPlan plan_;
  const std::unique_ptr<Optimizer> optimizer_;
  const std::shared_ptr<ModelState> state_;
  std::unique_ptr<Crew> crew_;
  WorkerTuner tuner_;
  double rate_scale_ = 1;
  std::optional<double> rate_;
  const std::atomic<bool>* cancel_ = nullptr;
};

}  // namespace cllm
