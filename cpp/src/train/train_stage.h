// One optimizer update as a stage: positions, merges, norm partials, AdamW.
//
// Jobs, in this order: positions 0..K-1 (opened by the root, in order, as buffers allow), merges of
// the plan's tree (opened by the ends of their inputs), norms and updates, one each for every
// level-1 subtree: block i belongs to subtree i mod their number. The root opens the updates when
// every norm is in; in between it decides on the learning rate, clipping and skipping.
#pragma once

#include "optim/adamw.h"
#include "reduce/buffer_pool.h"
#include "reduce/reduce.h"
#include "spheres/tree.h"
#include "train/model_state.h"
#include "train/shard_jobs.h"
#include "train/worker_pool.h"

namespace cllm {

/// What a step is given. All of it is read by the workers until the step ends.
struct StepInput {
  const std::int32_t* inputs;   ///< [B, T]
  const std::int32_t* targets;  ///< [B, T]
  double learning_rate;
  double clip;
  AdamWConfig adamw;
  std::function<void()> meanwhile;  ///< runs on the root while the workers compute
  bool update = true;               ///< false: the gradient and its norm alone, nothing is changed
  /// Test hook: runs in place of every tile, so that a schedule can be measured without arithmetic.
  std::function<void(int worker, const TileClaim&)> instead_of_tile;
};

struct StepOutcome {
  double loss;           ///< mean over the step batch
  double gradient_norm;  ///< before clipping
  bool skipped;          ///< loss or norm was not finite: nothing was updated
};

class TrainStage final : public TileRunner, public Conductor {
 public:
  /// `pool_workers`: how many workers may be active, for the number of buffers.
  TrainStage(const BatchPlan& plan, ModelState& state, const KernelTable& kernels,
             const WorkerPool& workers, SphereTree& tree);

  /// Runs one update. REQUIRES: one call at a time.
  StepOutcome run(SphereTree& tree, const StepInput& input);

  Stage& stage() noexcept { return *stage_; }
  void run_tile(int worker, const TileClaim& claim) override;
  void begin(Stage& stage) override;
  void meanwhile() override;
  bool on_done(Stage& stage, int job) override;

  /// The gradient of the last step. REQUIRES: a step has been run.
  const float* gradient() const noexcept;

  /// Bytes of gradient buffers and workspaces for this many active workers.
  static std::size_t bytes_for(const BatchPlan& plan, const ModelConfig& config,
                               const ParameterLayout& layout, int active_workers,
                               Precision precision = Precision::kFp32);

 private:
  static int workspaces_for(const BatchPlan& plan, int active_workers);
  std::vector<JobPlan> plan_jobs() const;

  void run_shard_tile(int worker, const TileClaim& claim);
  void run_merge_tile(int merge, std::int32_t tile);

  void open_positions(Stage& stage);
  void decide();

  int positions() const noexcept { return static_cast<int>(plan_.positions.size()); }
  int merges() const noexcept { return static_cast<int>(plan_.merges.size()); }
  int first_norm() const noexcept { return positions() + merges(); }
  int first_update() const noexcept { return first_norm() + owners_; }
  float* buffer_of(int node) const noexcept;

  const BatchPlan plan_;
  ModelState& state_;
  const KernelTable& kernels_;
  const WorkerPool& workers_;
  const ShardJobs jobs_;
  const int owners_;     // subtrees that own blocks
  const bool recycles_;  // fewer buffers than positions: merges tell which are free again
  const std::vector<int> holders_;  // node of the merge tree -> position of its buffer
  std::vector<AlignedBuffer<float>> gradients_;
  std::vector<Workspace> workspaces_;
  // Written by the root before it opens the job that reads them.
  std::vector<int> gradient_of_, workspace_of_;  // by position
  StepInput input_{};
  AdamWArgs adamw_{};
  StepOutcome outcome_{};
  bool updates_ = false;  // decided with the outcome
  // Written by tiles, each its own element; read by the root when every norm is in.
  std::vector<double> shard_loss_;    // [S]
  std::vector<double> norm_partial_;  // [blocks]
  // The root's own.
  BufferPool free_gradients_, free_workspaces_;
  int next_position_ = 0;
  int norms_done_ = 0, jobs_done_ = 0;
  std::unique_ptr<Stage> stage_;
};

}  // namespace cllm
