// A stage is everything that is worked on between two decisions of the root: the jobs, which of
// them each worker looks at first, and how a worker finds its next tile or sleeps until there is
// one.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "base/span.h"
#include "spheres/job.h"
#include "sync/event_count.h"

namespace cllm {

class Stage;

/// Runs the tiles; it knows no spheres and no threads.
class TileRunner {
 public:
  virtual ~TileRunner() = default;
  /// Runs one tile on the thread of `worker`. Tiles of one phase, and of phases that do not wait
  /// for each other, run at the same time on different workers. It may throw: the first exception
  /// of a stage reaches the root, and the remaining tiles of the stage are skipped.
  virtual void run_tile(int worker, const TileClaim& claim) = 0;
};

/// Decides, on the root's thread, when the jobs with no predecessor open. Each function may throw.
/// When one throws, or a sphere fails, the stage is abandoned and none of them is called again.
class Conductor {
 public:
  virtual ~Conductor() = default;
  /// Arrives at the jobs that can start at once.
  virtual void begin(Stage& stage) = 0;
  /// Does the root's own work after the workers have been told to start; where the root computes,
  /// before its first tile.
  virtual void meanwhile() {}
  /// Is told that a reporting job has finished. Returns true when the stage is complete, which must
  /// not be before every reporting job has finished: a late Done would count for the next run.
  virtual bool on_done(Stage& stage, int job) = 0;
};

class Stage {
 public:
  /// `worker_owners`[w] is the owner that worker w belongs to. A worker searches the jobs of its
  /// owner first, then the other jobs from a start of its own. The starts are spread so that the
  /// workers who take part divide the jobs by their number of tiles. Throws std::invalid_argument
  /// for a job with no phase and for a phase that has no tile, has no strand, or waits for itself
  /// or a later phase.
  Stage(std::vector<JobPlan> plans, std::vector<int> worker_owners, TileRunner& runner);

  int jobs() const noexcept { return static_cast<int>(plans_.size()); }
  TileRunner& runner() const noexcept { return *runner_; }
  const JobPlan& plan(int job) const noexcept { return plans_[static_cast<std::size_t>(job)]; }

  /// Prepares a run: closes every job. The first `workers` take part; with 0 the root works alone.
  /// REQUIRES: called by the root; the run before was complete.
  void reset(int workers) noexcept;
  int workers() const noexcept { return workers_.load(std::memory_order_relaxed); }
  /// Makes the one arrival that no job makes, at each of `count` neighbouring jobs. Jobs that open
  /// together are announced at once, so that each worker can begin with its own. REQUIRES: called
  /// by the root.
  void arrive(int first, int count = 1) noexcept;
  /// Ends the stage after an error: every tile may be claimed at once, and none should be computed.
  /// REQUIRES: called by the root.
  void abandon() noexcept;
  /// Drops the unclaimed tiles of the job: nobody will run them. Call it inside the tile `claim`,
  /// which is finished as usual. It serves a run whose result is not wanted.
  void skip_rest(const TileClaim& claim) noexcept;
  /// Says whether every job is finished: then no tile is being run and none will be.
  bool finished() const noexcept;

  /// The root claims with this number.
  static constexpr int kRoot = -1;
  /// Claims a tile for `worker`: from its current job, its own rows first; else from an untouched
  /// job; else from the job with the most tiles left. Among untouched jobs it prefers those that
  /// its current job opened (if neither has an owner), then those of its owner, then those from its
  /// start on.
  TileClaim claim(int worker, int current_job) noexcept;

  /// Reports a tile as run; true when that finished a job that reports.
  bool finish(const TileClaim& claim) noexcept;

  /// Says what a worker with nothing to claim can expect.
  enum class Outlook {
    kNothing,  ///< every tile of the run has been claimed
    kSoon,     ///< tiles that are being computed will open others
    kRoot,     ///< only the root can open others
  };
  Outlook outlook() const noexcept;
  /// Says whether no tile is being run and none can be claimed: then the workers need the root.
  bool rests() const noexcept;

  /// Sleepers wait here until a phase opens, the run has no tiles left, or it is abandoned
  /// (EventCount).
  EventCount<>& event() noexcept { return event_; }

 private:
  /// A start is a job that has no owner and follows no other such job; `tiles` counts all starts up
  /// to it.
  struct Start {
    int job;
    double tiles;
  };
  void deal_starts();
  void deal_orders();
  /// Returns the jobs in the order in which a worker looks through them.
  Span<const int> order(int worker) const noexcept;
  void claimed(const BasicJob<>::Ticket& ticket) noexcept;
  /// Arrives at a job; returns the number of its tiles that can be claimed now.
  std::int32_t open_by_arrival(int job) noexcept {
    return at(job).arrive() ? at(job).first_tiles() : 0;
  }
  /// Returns a worker's seat, the same in every team. A worker who takes part in the run has its
  /// own, unless more than kSeats take part; one who does not may get another worker's.
  int seat(int worker) const noexcept {
    const std::int64_t crew = std::max(workers(), Team::kSeats);
    return static_cast<int>(std::min<std::int64_t>(
        std::int64_t{std::max(worker, 0)} * Team::kSeats / crew, Team::kSeats - 1));
  }
  Job& at(int job) const noexcept { return jobs_[static_cast<std::size_t>(job)]; }

  std::vector<JobPlan> plans_;
  std::vector<int> worker_owners_;
  std::vector<char> opened_by_root_;  // [jobs]
  std::unique_ptr<Job[]> jobs_;
  std::vector<Start> starts_;
  std::vector<int> orders_;  // [starts, owners, jobs]
  TileRunner* runner_;
  // Jobs with unclaimed tiles. Written by whoever claims a job's last tile and, between runs, by
  // the root.
  alignas(kCacheLinePair) std::atomic<std::int32_t> unclaimed_{0};
  // Written by the root between runs. A worker that is still inside the run before has either read
  // the end of that run from unclaimed_ or acquired the reset of this one, so it knows before it
  // sleeps.
  std::atomic<std::int32_t> workers_{0};
  // The root sets it once. A worker that finishes a job adds 0 to it. Both change the same word, so
  // either the root sees the job finished or the worker sees that the root may wait for it.
  std::atomic<std::uint32_t> abandoned_{0};
  EventCount<> event_;
};

}  // namespace cllm
