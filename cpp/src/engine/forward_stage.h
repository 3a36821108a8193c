// A ForwardStage runs forward passes over whole sequences; evaluation and logits share it.
#pragma once

#include <atomic>

#include "engine/model_state.h"
#include "engine/shard_jobs.h"
#include "engine/worker_pool.h"
#include "spheres/lanes.h"
#include "spheres/tree.h"

namespace cllm {

/// Says what one run reads and writes.
struct ForwardInput {
  TokenRows rows;           ///< [sequences, T]; its targets may be null: no losses
  float* logits = nullptr;  ///< [sequences, T, V'] or nullptr; the state's head has all rows
  /// Once it is set, no more tiles are computed; null: never.
  const std::atomic<bool>* cancel = nullptr;
  std::function<void()> meanwhile = nullptr;  ///< runs on the root while the workers compute
};

class ForwardStage final : private TileRunner, private Conductor {
 public:
  /// Returns the most sequences of one stage: 48 shards of about 1024 tokens are enough for many
  /// cores and take little memory. It depends on shapes only, and therefore so does the order of
  /// sums over shards.
  static std::int64_t most_sequences(std::int64_t length);
  /// Returns the sequences of the largest shard.
  static std::int64_t shard_sequences(std::int64_t length);
  /// Returns the bytes of the workspaces for this many active workers, beyond those in `spare` that
  /// it can use.
  static std::size_t bytes_for(const ParameterLayout& layout, std::int64_t sequences,
                               std::int64_t length, int active_workers,
                               Precision precision = Precision::kFp32, std::size_t spare = 0);

  /// Makes a stage. `spare` is memory that is free during every run; it holds as many workspaces as
  /// fit. When `spare` is too small for one, the stage makes one of its own; when it is empty, the
  /// stage makes one for each active worker, or fewer if sequences are long. REQUIRES: 1 <=
  /// sequences <= most_sequences(length).
  ForwardStage(std::int64_t sequences, std::int64_t length, ModelState& state,
               const WorkerPool& workers, SphereTree& tree, Span<float> spare = {});

  /// Runs the passes. Returns false when it was cancelled: then nothing that it wrote is valid.
  bool run(SphereTree& tree, const ForwardInput& input);

  /// Returns the sums of the losses of the last run, one for each shard, in the order of the
  /// sequences.
  const std::vector<double>& shard_losses() const noexcept { return shard_loss_; }
  std::int64_t sequences() const noexcept { return plan_.batch; }

 private:
  static BatchPlan plan(std::int64_t sequences, std::int64_t length);
  /// Says how many workspaces there are, of how many floats each, and whether they lie in `spare`.
  struct Workspaces {
    int count;
    std::size_t floats;
    bool in_spare;
  };
  static Workspaces workspaces_for(const BatchPlan& plan, const ParameterLayout& layout,
                                   Precision precision, int active_workers,
                                   std::size_t spare_floats);

  void run_tile(int worker, const TileClaim& claim) override;
  void begin(Stage& stage) override;
  void meanwhile() override;
  bool on_done(Stage& stage, int job) override;
  void open_lanes(Stage& stage);
  int shards() const noexcept { return static_cast<int>(plan_.shards.size()); }
  int lanes() const noexcept { return static_cast<int>(workspaces_.size()); }

  const BatchPlan plan_;  // one shard a position
  ModelState& state_;
  const WorkerPool& workers_;
  const ShardJobs jobs_;
  AlignedBuffer<float> own_memory_;
  std::vector<Workspace> workspaces_;
  ForwardInput input_{};
  std::vector<std::int32_t> no_targets_;  // [R] of -1
  std::vector<double> shard_loss_;
  int lanes_done_ = 0;
  std::atomic<bool> left_out_{false};  // set by tiles that were not computed
  std::unique_ptr<Stage> stage_;
};

}  // namespace cllm
