// The mean loss over a whole range of tokens as stages of forward passes, a round of shards each.
#pragma once

#include "data/evaluation_windows.h"
#include "reduce/buffer_pool.h"
#include "spheres/tree.h"
#include "train/model_state.h"
#include "train/shard_jobs.h"
#include "train/worker_pool.h"

namespace cllm {

class EvaluateStage final : private TileRunner, private Conductor {
 public:
  EvaluateStage(EvaluationWindows windows, std::int64_t sequence, ModelState& state,
                const WorkerPool& workers, SphereTree& tree);

  /// Sum of the losses in window order over the number of targets. Asks `stop` between rounds and
  /// returns NaN when it says so.
  double run(SphereTree& tree, const std::function<bool()>& stop);

 private:
  void fill(std::int64_t round);
  void run_tile(int worker, const TileClaim& claim) override;
  void begin(Stage& stage) override;
  void meanwhile() override;
  bool on_done(Stage& stage, int job) override;
  void open_shards(Stage& stage);

  /// Tokens of one round: prepared by the root while the workers are at the round before.
  struct Round {
    std::vector<std::int32_t> inputs, targets;  // [windows of a round, T]
  };

  const EvaluationWindows windows_;
  const BatchPlan plan_;  // one shard a position
  ModelState& state_;
  const WorkerPool& workers_;
  const ShardJobs jobs_;
  std::vector<Workspace> workspaces_;
  Round rounds_[2];
  std::vector<double> shard_loss_;
  std::vector<int> workspace_of_;
  BufferPool free_workspaces_;
  std::int64_t round_ = 0, rounds_total_ = 0;
  int next_shard_ = 0, shards_done_ = 0;
  std::unique_ptr<Stage> stage_;
};

}  // namespace cllm
