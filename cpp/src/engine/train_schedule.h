// Which jobs a step consists of, and which of them the root opens when: a step without its numbers.
//
// Its table of jobs (job_table.h) has positions, merges of the plan's tree, norms, updates and,
// where weights are packed, packings. Norms, updates and packings come once for every owner, which
// has a run of the blocks (reduce/owners.h) and about the same part of the weights. Merges wait for
// their inputs, norms for the last merge, positions for every packing. The root opens the updates
// when every norm is in; before that it decides on the learning rate, clipping and skipping.
//
// Positions run in lanes (spheres/lanes.h), each with a workspace of its own, and open when the one
// before them in their lane has ended and the root has found them a buffer for their gradient,
// which it does in order.
#pragma once

#include "engine/job_table.h"
#include "engine/shard_jobs.h"
#include "model/packed_weights.h"
#include "reduce/buffer_pool.h"
#include "reduce/owners.h"
#include "spheres/lanes.h"
#include "spheres/stage.h"

namespace cllm {

/// Thread safety: the root's, except that workers read who has which buffer.
class TrainSchedule : public Conductor {
 public:
  /// At most `active_workers` workers are active; `owners`: of runs of blocks, among them.
  /// `packed_tiles`: none when weights are not packed.
  TrainSchedule(const BatchPlan& plan, const ParameterLayout& layout, int owners,
                int active_workers, std::int32_t packed_tiles = 0);

  const JobTable& table() const noexcept { return table_; }
  JobKind kind(int job) const noexcept { return table_[job].kind; }
  /// The jobs as the spheres take them.
  std::vector<JobPlan> jobs(const ShardJobs& shards) const;
  /// The block of a tile of a norm or of an update.
  std::size_t block(int job, std::int32_t tile) const noexcept {
    return owned_.block(table_[job].index, tile);
  }
  /// The tile of the packed weights of a tile of a packing.
  std::int32_t packed_tile(int job, std::int32_t tile) const noexcept {
    return first_packed(table_[job].index) + tile;
  }
  /// How many gradients a merge adds.
  int sources(int job) const noexcept { return merge(job).count; }

  int positions() const noexcept { return static_cast<int>(plan_.positions.size()); }
  /// The node of the merge tree that holds the sum of all: the positions come first, then the
  /// merges, with the numbers of their jobs.
  int last_node() const noexcept { return positions() + static_cast<int>(plan_.merges.size()) - 1; }

  /// How many buffers of each kind there are, and which one a node of the merge tree has (the
  /// positions, then the merges) or a position. REQUIRES: it was opened.
  int gradient_buffers() const noexcept { return gradient_buffers_; }
  int workspaces() const noexcept { return workspaces_; }
  int gradient_of(int node) const noexcept {
    return gradient_of_[static_cast<std::size_t>(holders_[static_cast<std::size_t>(node)])];
  }
  int workspace_of(int position) const noexcept { return lane_of(position, workspaces_); }

  void begin(Stage& stage) override;
  bool on_done(Stage& stage, int job) override;

  /// For `active_workers`, before there is a schedule.
  static int gradient_buffers_for(const BatchPlan& plan, int active_workers);
  static int workspaces_for(const BatchPlan& plan, int active_workers);

 private:
  /// Every norm is in; the updates open next.
  virtual void decide() {}
  void open_positions(Stage& stage);
  JobTable list_jobs() const;
  const MergePlan& merge(int job) const noexcept {
    return plan_.merges[static_cast<std::size_t>(table_[job].index)];
  }
  /// The first tile that belongs to packing `p` or a later one.
  std::int32_t first_packed(int p) const noexcept {
    return static_cast<std::int32_t>(std::int64_t{packed_tiles_} * p / packings_);
  }

  const BatchPlan plan_;
  const std::int32_t blocks_;
  const OwnedBlocks owned_;
  const std::int32_t packed_tiles_;
  const int packings_;  // jobs that pack: 0 or as many as owners, if there are so many tiles
  const int gradient_buffers_, workspaces_;
  const bool recycles_;  // fewer buffers than positions: merges tell which are free again
  const std::vector<int> holders_;  // node of the merge tree -> position of its buffer
  const JobTable table_;
  // Written by the root before it opens the job that reads them.
  std::vector<int> gradient_of_;  // by position
  BufferPool free_gradients_;
  int next_position_ = 0;
  int norms_done_ = 0, jobs_done_ = 0;
};

}  // namespace cllm
