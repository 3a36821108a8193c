// A TrainStage makes one optimizer update: it has the schedule's jobs, their buffers and their
// arithmetic.
#pragma once

#include <atomic>

#include "engine/model_state.h"
#include "engine/train_schedule.h"
#include "engine/worker_pool.h"
#include "optim/optimizer.h"
#include "reduce/reduce.h"
#include "spheres/tree.h"

namespace cllm {

/// Holds the input of a step. The workers read all of it until the step ends.
struct StepInput {
  TokenRows rows;        ///< [B, T]
  std::int64_t counted;  ///< of their targets; at least 1
  double learning_rate;
  double clip;
  std::function<void()> meanwhile;  ///< runs on the root while the workers compute
  /// It is used if the model has dropout rates. Its `sequences` may be null: those of the plan, in
  /// order.
  DropoutSource dropout{};
  /// Once it is set, no more tiles are computed; null: never. When every sum is complete, the root
  /// decides whether the step is cancelled: then either nothing is updated or everything.
  const std::atomic<bool>* cancel = nullptr;
  /// It updates the weights; null: only the gradient and its norm are computed, and nothing is
  /// changed.
  Optimizer* optimizer = nullptr;
  /// Test hook: it runs instead of every tile, so that a schedule can be measured without
  /// arithmetic.
  std::function<void(int worker, const TileClaim&)> instead_of_tile;
};

struct StepOutcome {
  double loss;           ///< mean over the counted targets of the step batch; NaN without one
  double gradient_norm;  ///< before clipping
  std::int64_t counted;  ///< targets
  bool skipped;          ///< nothing was updated: loss or norm was not finite, or nothing counted
  bool cancelled;        ///< it was cancelled: nothing was updated; there is no loss and no norm
  bool waited;           ///< `meanwhile` took so long that the workers had nothing left to do
};

class TrainStage final : private TileRunner, public TrainSchedule {
 public:
  /// Makes buffers and jobs. REQUIRES: trains(pass).
  TrainStage(const BatchPlan& plan, ModelState& state, const KernelTable& kernels,
             const WorkerPool& workers, SphereTree& tree, Pass pass = Pass::kTraining);

  /// Runs one update. REQUIRES: one call at a time.
  StepOutcome run(SphereTree& tree, const StepInput& input);

  /// Returns the gradient of the last step; ModelState::trained_gradient says where that of a
  /// coupled embedding is. REQUIRES: a step has been run that was not cancelled.
  const float* gradient() const noexcept;

  /// Returns the operation of a tile of a position. REQUIRES: kind(claim.job) is kPosition.
  const Phase& phase(const TileClaim& claim) const noexcept {
    const ShardJobs::Place place = jobs_.place(claim.job, claim.phase);
    return place.program->phases()[place.phase];
  }

  /// Returns the memory of the workspaces. Others may use it between two steps and need not restore
  /// it.
  Span<float> workspace_memory() noexcept { return workspace_memory_.span(); }

  static std::size_t workspace_bytes_for(const BatchPlan& plan, const ParameterLayout& layout,
                                         int active_workers, Precision precision, Pass pass);
  /// Returns the bytes of gradient buffers and workspaces for this many active workers.
  static std::size_t bytes_for(const BatchPlan& plan, const ParameterLayout& layout,
                               int active_workers, Precision precision = Precision::kFp32,
                               Pass pass = Pass::kTraining);

 private:
  void run_tile(int worker, const TileClaim& claim) override;
  void meanwhile() override;
  void run_shard_tile(int worker, const TileClaim& claim);
  void run_merge_tile(int merge, std::int32_t tile);
  void run_norm_tile(std::size_t block);
  void run_update_tile(std::size_t block);
  void decide() override;
  bool cancelled() const noexcept;

  float* buffer_of(int node) const noexcept;

  const BatchPlan plan_;
  ModelState& state_;
  const KernelTable& kernels_;
  const WorkerPool& workers_;
  const ShardJobs jobs_;
  std::vector<AlignedBuffer<float>> gradients_;
  AlignedBuffer<float> workspace_memory_;
  std::vector<Workspace> workspaces_;  // in workspace_memory_, one after another
  // The root writes these before it opens the job that reads them.
  StepInput input_{};
  StepOutcome outcome_{};
  bool updates_ = false;               // decided together with outcome_
  std::atomic<bool> left_out_{false};  // set by tiles that were not computed: their sums are wrong
  // Tiles write these, each its own element; the root reads them when every norm has ended.
  std::vector<double> shard_loss_;      // [S]
  std::vector<double> norm_partial_;    // [blocks]
  std::vector<std::int64_t> in_order_;  // [B] 0, 1, 2...; never written
  std::unique_ptr<Stage> stage_;
};

}  // namespace cllm
