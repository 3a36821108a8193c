// A model in training on a tree of spheres: what Trainer and the tests drive. It knows no files.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "cllm/tree_plan.h"
#include "cpu/allowance.h"
#include "cpu/features.h"
#include "data/evaluation_windows.h"
#include "optim/schedule.h"
#include "spheres/tree.h"
#include "train/evaluate_stage.h"
#include "train/model_state.h"
#include "train/touch_stage.h"
#include "train/train_stage.h"
#include "train/worker_pool.h"
#include "train/worker_tuner.h"

namespace cllm {

struct SessionConfig {
  ModelConfig model;
  std::int64_t batch = 1;      ///< B, sequences in the step batch (grad_accum included)
  std::int64_t sequence = 1;   ///< T
  std::int64_t positions = 0;  ///< K; 0: by the plan's rule
  std::int64_t threads = 1;    ///< spheres
  AdamWConfig adamw;
  Schedule schedule;
  double clip = 1.0;
  GemmBackend gemm = GemmBackend::kNative;
  bool pack_always = false;  ///< test hook: pack weights for small steps too
  Precision precision = Precision::kFp32;
  std::uint64_t seed = 0;  ///< of dropout, where the model has rates
  Pass pass = Pass::kTraining;
  TreeOptions tree;            ///< prepare_worker is set by the session
  Allowance allowance;         ///< the cores that workers may be bound to; empty: they are not
  bool time_products = false;  ///< for take_product_ns()

  /// Finds out in the first steps how many of the workers make them fastest, and lets the others
  /// sleep; without it all of them compute, as many as there are CPUs.
  bool tune_workers = false;

  /// Checkpoints are written from a copy of parameters and moments, which takes their memory again.
  bool snapshot = false;

  /// Most workers that compute in a step.
  int active_workers() const;
};

/// Floating-point operations of forward and backward, a token: 6 P' + 6 L C T.
std::int64_t flops_per_token(const ModelConfig& model, std::int64_t sequence);

/// The batch plan of a session, which looks at shapes only.
BatchPlan plan_session_batch(const ModelConfig& model, std::int64_t batch, std::int64_t sequence,
                             std::int64_t positions);

/// Whether a session's steps pack the weights first: with native products, where it pays.
bool packs_weights(const SessionConfig& config, const ParameterLayout& layout);

/// What a session takes of memory, by what it is for, in bytes.
struct MemoryPlan {
  std::size_t parameters, moments;
  std::size_t activations_and_gradients;  ///< with the packed weights
  std::size_t workers;     ///< what those who compute bring along, stacks of all threads
  std::size_t evaluation;  ///< where training's memory does not do
  std::size_t tables;      ///< step batches, the plan of a step
  std::size_t program;     ///< code, libraries and data of the process before the first session
  std::size_t saving;      ///< the copy that checkpoints are written from
  std::size_t total() const noexcept {
    return parameters + moments + activations_and_gradients + workers + rest();
  }
  /// What a user cannot change by much.
  std::size_t rest() const noexcept { return evaluation + tables + program + saving; }
};
MemoryPlan plan_memory(const SessionConfig& config);

/// Thread safety: one thread at a time, which is the root of the tree while a call runs.
class Session {
 public:
  explicit Session(const SessionConfig& config);

  /// One update on inputs[B, T] and targets[B, T]; `step` (from 0) gives the learning rate and,
  /// with `sequences`[B], the dropout: what a sequence drops goes with its number there, which is
  /// its index when there is none. `meanwhile` runs on the calling thread while the workers
  /// compute.
  StepOutcome step(std::int64_t step, const std::int32_t* inputs, const std::int32_t* targets,
                   std::function<void()> meanwhile = nullptr,
                   const std::int64_t* sequences = nullptr);

  /// The mean loss over the windows; NaN when `stop` said so. Makes its workspaces on first use.
  /// REQUIRES: the same windows in every call between two resizes.
  double evaluate(const EvaluationWindows& windows, const std::function<bool()>& stop = nullptr);

  /// Whoever sets the flag, at any moment and from any thread, ends the step or evaluation that is
  /// running, or the next one, as soon as each worker is through with its tile. A step is then
  /// either cancelled and has changed nothing, or it had been decided on and is complete; an
  /// evaluation gives NaN. It must outlive the session, which never writes it; null: none.
  void set_cancel(const std::atomic<bool>* flag) noexcept { cancel_ = flag; }

  /// Another number of spheres around the same model: no bit of any later result changes. All of
  /// them compute from then on. When the system has no more threads or memory it throws, and the
  /// session stays as it was.
  void resize(std::int64_t threads);

  /// The first `workers` compute from the next step on, the others sleep: no bit changes.
  /// REQUIRES: 1 to tree().most_active_workers().
  void set_active(int workers);

  /// Every learning rate of the schedule is multiplied by it from the next step on; 1 at first.
  void set_rate_scale(double scale) noexcept { rate_scale_ = scale; }
  /// What step `step` updates with.
  double learning_rate(std::int64_t step) const { return rate_scale_ * config_.schedule.at(step); }

  /// What tune_workers came to; settled at once without it.
  const WorkerTuner& tuner() const noexcept { return tuner_; }

  const SessionConfig& config() const noexcept { return config_; }
  const BatchPlan& plan() const noexcept { return plan_; }
  ModelState& state() noexcept { return *state_; }
  const ModelState& state() const noexcept { return *state_; }
  const SphereTree& tree() const noexcept { return *crew_->tree; }
  /// The gradient of the last step, before clipping: the layout's flat range.
  /// REQUIRES: a step since construction or resize, and the last one was not cancelled.
  const float* gradient() const noexcept { return crew_->train->gradient(); }

  /// For benchmarks: what the tiles of a step are for, and the time inside products since the last
  /// call. REQUIRES for the latter: time_products; called on the worker's thread.
  const TrainStage& stage() const noexcept { return *crew_->train; }
  /// What passes work in; nothing in it outlives a step or an evaluation.
  Span<float> workspace_memory() const noexcept { return crew_->train->workspace_memory(); }
  std::uint64_t take_product_ns(int worker) const noexcept {
    return crew_->workers.take_product_ns(worker);
  }

  /// Owners of the memory behind state() and gradient(), for views that may outlive the session.
  std::shared_ptr<ModelState> shared_state() const noexcept { return state_; }
  std::shared_ptr<const void> gradient_owner() const noexcept { return crew_->train; }

 private:
  /// The threads and everything that is made for their number.
  struct Crew {
    Crew(const SessionConfig& config, const BatchPlan& plan, ModelState& state);

    WorkerPool workers;
    // The stages outlive the tree: its threads may look at them until they are joined.
    std::unique_ptr<TouchStage> touch;
    std::shared_ptr<TrainStage> train;
    std::unique_ptr<EvaluateStage> evaluate;
    std::unique_ptr<SphereTree> tree;
  };

  SessionConfig config_;
  const BatchPlan plan_;
  const std::shared_ptr<ModelState> state_;
  std::unique_ptr<Crew> crew_;
  WorkerTuner tuner_;
  double rate_scale_ = 1;
  const std::atomic<bool>* cancel_ = nullptr;
};

}  // namespace cllm
