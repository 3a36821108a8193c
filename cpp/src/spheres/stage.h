// Everything that is worked on between two decisions of the trainer: the jobs, who may look where
// first, and how a worker finds its next tile.
#pragma once

#include <memory>
#include <vector>

#include "base/span.h"
#include "spheres/job.h"

namespace cllm {

class Stage;

/// What runs the tiles; it knows no spheres and no threads.
class TileRunner {
 public:
  virtual ~TileRunner() = default;
  /// Runs one tile on the thread of `worker`. Tiles of one phase run at the same time on different
  /// workers. May throw: the first exception of a stage reaches the root, the rest of the stage's
  /// tiles are then skipped.
  virtual void run_tile(int worker, const TileClaim& claim) = 0;
};

/// What decides, on the root's thread, which jobs with no predecessor open when. Each function may
/// throw; when it does, or some sphere failed, the stage is abandoned and asks no more.
class Conductor {
 public:
  virtual ~Conductor() = default;
  /// Arrives at the jobs that can start at once.
  virtual void begin(Stage& stage) = 0;
  /// Called after the workers have been told to start: work for the root meanwhile.
  virtual void meanwhile() {}
  /// A reporting job is finished. Returns true when the stage is complete, which must not be before
  /// every reporting job has been told: a late Done would be taken for one of the next run.
  virtual bool on_done(Stage& stage, int job) = 0;
};

class Stage {
 public:
  /// `worker_subtree`[w] is the level-1 subtree of worker w; jobs of its own subtree come first in
  /// its search, then the others from a start of its own, so that workers spread over the jobs by
  /// their tiles.
  /// REQUIRES: jobs that the root opens have lower indices than jobs opened by finished ones, in
  /// the order in which the root opens them, or else are all opened together (see `wait_target`).
  /// Throws std::invalid_argument for a job with no phase or a phase with no tile.
  Stage(std::vector<JobPlan> plans, const std::vector<int>& worker_subtree, TileRunner& runner);

  int jobs() const noexcept { return static_cast<int>(plans_.size()); }
  TileRunner& runner() const noexcept { return *runner_; }
  const JobPlan& plan(int job) const noexcept { return plans_[static_cast<std::size_t>(job)]; }

  /// Root, before a run: every job closed.
  void reset() noexcept;
  /// Root: the arrival that no job makes.
  void arrive(int job) noexcept { at(job).arrive(); }
  /// Root, instead of going on: no job opens any more, those that are open go on to their end.
  void abandon() noexcept;
  /// Every job is finished: no tile is being run and none will be.
  bool finished() const noexcept { return wait_target(0, -1).job < 0; }

  /// A tile for `worker`: of the job it is at, else of one nobody has touched, else of the one with
  /// the most phases left.
  TileClaim claim(int worker, int current_job) noexcept;

  /// Reports a tile as run; true when that finished a job that reports.
  bool finish(const TileClaim& claim) noexcept;

  /// Where to wait when there is nothing to claim.
  struct Wait {
    int job = -1;                ///< -1: every job is finished
    bool open = false;           ///< somebody is computing on it, its next phase is near
    std::uint64_t observed = 0;  ///< for park
  };
  /// The open job with `current_job` first; if none is open the lowest closed one, which is the
  /// next that the root opens: so a sleeper is never left out.
  Wait wait_target(int worker, int current_job) const noexcept;
  void park(const Wait& wait) noexcept { at(wait.job).park(wait.observed); }
  bool still(const Wait& wait) const noexcept { return at(wait.job).still(wait.observed); }

 private:
  std::vector<int> deal_homes(int workers) const;
  Job& at(int job) const noexcept { return jobs_[static_cast<std::size_t>(job)]; }
  Span<const int> order(int worker) const noexcept {
    return Span<const int>(orders_).subspan(static_cast<std::size_t>(worker) * plans_.size(),
                                            plans_.size());
  }

  std::vector<JobPlan> plans_;
  std::unique_ptr<Job[]> jobs_;
  std::vector<int> orders_;  // [workers, jobs]
  TileRunner* runner_;
};

}  // namespace cllm
