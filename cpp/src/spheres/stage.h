// Everything that is worked on between two decisions of the trainer: the jobs, who may look where
// first, and how a worker finds its next tile or sleeps until there is one.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "base/span.h"
#include "spheres/job.h"
#include "sync/event_count.h"

namespace cllm {

class Stage;

/// What runs the tiles; it knows no spheres and no threads.
class TileRunner {
 public:
  virtual ~TileRunner() = default;
  /// Runs one tile on the thread of `worker`. Tiles of one phase, and of phases that do not wait
  /// for each other, run at the same time on different workers. May throw: the first exception of a
  /// stage reaches the root, the rest of the stage's tiles are then skipped.
  virtual void run_tile(int worker, const TileClaim& claim) = 0;
};

/// What decides, on the root's thread, which jobs with no predecessor open when. Each function may
/// throw; when it does, or some sphere failed, the stage is abandoned and asks no more.
class Conductor {
 public:
  virtual ~Conductor() = default;
  /// Arrives at the jobs that can start at once.
  virtual void begin(Stage& stage) = 0;
  /// Called after the workers have been told to start: work for the root meanwhile, or before its
  /// first tile where it computes.
  virtual void meanwhile() {}
  /// A reporting job is finished. Returns true when the stage is complete, which must not be before
  /// every reporting job has been told: a late Done would be taken for one of the next run.
  virtual bool on_done(Stage& stage, int job) = 0;
};

class Stage {
 public:
  /// `worker_owners`[w] is the owner that worker w belongs to; jobs of its own come first in its
  /// search, then the others from a start of its own, so that those who take part spread over the
  /// jobs by their tiles.
  /// Throws std::invalid_argument for a job with no phase, a phase with no tile, in no strand, or
  /// that waits for itself or a later one.
  Stage(std::vector<JobPlan> plans, std::vector<int> worker_owners, TileRunner& runner);

  int jobs() const noexcept { return static_cast<int>(plans_.size()); }
  TileRunner& runner() const noexcept { return *runner_; }
  const JobPlan& plan(int job) const noexcept { return plans_[static_cast<std::size_t>(job)]; }

  /// Root, before a run: every job closed, the first `workers` take part, or with 0 the root alone.
  /// REQUIRES: the run before was complete.
  void reset(int workers) noexcept;
  int workers() const noexcept { return workers_.load(std::memory_order_relaxed); }
  /// Root: the arrival that no job makes, at each of `count` neighbouring jobs. Workers hear of
  /// jobs that open together at once, so that each can begin with its own.
  void arrive(int first, int count = 1) noexcept;
  /// Root, instead of going on after an error: every tile may be claimed at once, none is to be
  /// computed.
  void abandon() noexcept;
  /// Inside a tile, which is finished as ever: of its job, no other will be run that nobody has
  /// yet. For a run whose result nobody wants.
  void skip_rest(const TileClaim& claim) noexcept;
  /// Every job is finished: no tile is being run and none will be.
  bool finished() const noexcept;

  /// The root's number where it claims.
  static constexpr int kRoot = -1;
  /// A tile for `worker`: of the job it is at, of its own rows first, else of one nobody has
  /// touched, else of the one with the most tiles left. Of those nobody has touched, first one that
  /// its job has opened (if both are nobody's), then those that it owns, then from a start of its
  /// own.
  TileClaim claim(int worker, int current_job) noexcept;

  /// Reports a tile as run; true when that finished a job that reports.
  bool finish(const TileClaim& claim) noexcept;

  /// What to expect when there is nothing to claim.
  enum class Outlook {
    kNothing,  ///< every tile of the run has been claimed
    kSoon,     ///< tiles that somebody is computing open others
    kRoot,     ///< only the root opens others
  };
  Outlook outlook() const noexcept;
  /// No tile is being run and none can be: the workers have nothing to do without the root.
  bool rests() const noexcept;

  /// Sleeping until a phase opens, the run has no tiles left, or it is abandoned: see EventCount.
  EventCount<>& event() noexcept { return event_; }

 private:
  /// A job that is nobody's and waits for no other such, and the tiles of those up to it.
  struct Start {
    int job;
    double tiles;
  };
  void deal_starts();
  void deal_orders();
  /// The jobs as a worker looks through them.
  Span<const int> order(int worker) const noexcept;
  void claimed(const BasicJob<>::Ticket& ticket) noexcept;
  /// Arrives at a job; the tiles of it that can be claimed now.
  std::int32_t open_by_arrival(int job) noexcept {
    return at(job).arrive() ? at(job).first_tiles() : 0;
  }
  /// A worker's in every team, if it takes part in the run; another one's if it does not.
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
  // Jobs with tiles that nobody has claimed. Written by whoever claims a job's last one and,
  // between runs, by the root.
  alignas(kCacheLinePair) std::atomic<std::int32_t> unclaimed_{0};
  // Written by the root between runs. A worker that is still inside from the run before has read
  // that one's end from unclaimed_, or the release of this one's: so it knows before it sleeps.
  std::atomic<std::int32_t> workers_{0};
  // Set by the root once. Whoever finishes a job adds nothing to it: both change the word, so
  // either the root sees the job finished or the other sees that the root may wait for it.
  std::atomic<std::uint32_t> abandoned_{0};
  EventCount<> event_;
};

}  // namespace cllm
