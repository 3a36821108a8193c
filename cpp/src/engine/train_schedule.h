// A TrainSchedule says which jobs a step has, and which of them the root opens when. It knows
// nothing of the step's numbers.
//
// Its table of jobs (job_table.h) has positions, merges of the plan's tree, norms, updates,
// packings if weights are packed, and folds and unfolds if tokens are coupled in the lattice. There
// is one job of each later kind for each owner, which has a run of the blocks (reduce/owners.h) and
// about an equal part of the weights and of the tokens. Merges wait for their inputs, norms for the
// last merge and for what unfolds its sum, positions for every packing, packings for every fold.
// The root opens the updates when every norm has ended; before that it decides on the learning
// rate, clipping and skipping.
//
// Positions run in lanes (spheres/lanes.h), each with its own workspace. A position opens when the
// one before it in its lane has ended and the root has found it a buffer for its gradient. The root
// finds buffers in the order of the positions.
#pragma once

#include "engine/job_table.h"
#include "engine/shard_jobs.h"
#include "model/packed_weights.h"
#include "reduce/buffer_pool.h"
#include "reduce/owners.h"
#include "spheres/lanes.h"
#include "spheres/stage.h"

namespace cllm {

/// Decides on the root's thread; workers only read which buffer a position or merge has.
class TrainSchedule : public Conductor {
 public:
  /// Makes the table. At most `active_workers` workers are active; `owners` is the number of runs
  /// of blocks.
  TrainSchedule(const BatchPlan& plan, const ParameterLayout& layout, int owners,
                int active_workers, ExtraTiles extra = {});

  const JobTable& table() const noexcept { return table_; }
  JobKind kind(int job) const noexcept { return table_[job].kind; }
  /// Returns the jobs in the form that the spheres take.
  std::vector<JobPlan> jobs(const ShardJobs& shards) const;
  /// Returns the block of a tile of a norm or of an update.
  std::size_t block(int job, std::int32_t tile) const noexcept {
    return owned_.block(table_[job].index, tile);
  }
  /// Returns the tile of the packed weights that a tile of a packing fills, and the tile of the
  /// lattice that one of a fold or an unfold is.
  std::int32_t packed_tile(int job, std::int32_t tile) const noexcept {
    return part(extra_.packed, packings_, table_[job].index) + tile;
  }
  std::int32_t coupled_tile(int job, std::int32_t tile) const noexcept {
    return part(extra_.coupled, folds_, table_[job].index) + tile;
  }
  /// Returns how many gradients a merge adds.
  int sources(int job) const noexcept { return merge(job).count; }

  int positions() const noexcept { return static_cast<int>(plan_.positions.size()); }
  /// Returns the node of the merge tree that holds the sum of all. The positions come first, then
  /// the merges; nodes have the numbers of their jobs.
  int last_node() const noexcept { return positions() + static_cast<int>(plan_.merges.size()) - 1; }

  /// These say how many buffers of each kind there are, and which one a position or a node of the
  /// merge tree (the positions, then the merges) has. REQUIRES: it was opened.
  int gradient_buffers() const noexcept { return gradient_buffers_; }
  int workspaces() const noexcept { return workspaces_; }
  int gradient_of(int node) const noexcept {
    return gradient_of_[static_cast<std::size_t>(holders_[static_cast<std::size_t>(node)])];
  }
  int workspace_of(int position) const noexcept { return lane_of(position, workspaces_); }

  void begin(Stage& stage) override;
  bool on_done(Stage& stage, int job) override;

  /// These give the numbers for `active_workers` before there is a schedule.
  static int gradient_buffers_for(const BatchPlan& plan, int active_workers);
  static int workspaces_for(const BatchPlan& plan, int active_workers);

 private:
  /// Is called when every norm has ended; the updates open next.
  virtual void decide() {}
  void open_positions(Stage& stage);
  JobTable list_jobs() const;
  const MergePlan& merge(int job) const noexcept {
    return plan_.merges[static_cast<std::size_t>(table_[job].index)];
  }
  /// Returns the first of `tiles` tiles that belongs to part `p` of `parts` or a later one.
  static std::int32_t part(std::int32_t tiles, int parts, int p) noexcept {
    return static_cast<std::int32_t>(std::int64_t{tiles} * p / parts);
  }

  const BatchPlan plan_;
  const std::int32_t blocks_;
  const OwnedBlocks owned_;
  const ExtraTiles extra_;
  const int packings_;  // jobs that pack: 0, or one for each owner if there are enough tiles
  const int folds_;     // jobs that fold, and jobs that unfold, likewise
  const int gradient_buffers_, workspaces_;
  const bool recycles_;  // fewer buffers than positions: merges report which are free again
  const std::vector<int> holders_;  // node of the merge tree -> position of its buffer
  const JobTable table_;
  // The root writes it before it opens the job that reads it.
  std::vector<int> gradient_of_;  // by position
  BufferPool free_gradients_;
  int next_position_ = 0;
  int norms_done_ = 0, jobs_done_ = 0;
};

}  // namespace cllm
