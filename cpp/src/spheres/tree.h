// SphereTree runs the tree of spheres as threads; it is made once and runs stages until it is
// destroyed.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "cllm/tree_plan.h"
#include "spheres/sphere.h"
#include "spheres/stage.h"
#include "sync/error_slot.h"

namespace cllm {

struct TreeOptions {
  /// The CPUs that this process may compute on at once; at most as many workers are active in a
  /// stage.
  int cores = 1;
  /// The CPUs that the threads may run on; empty: those of the thread that makes the tree.
  std::vector<int> cpus;
  /// Every worker is active, also where there are fewer cores: slower, with the same result.
  bool activate_all = false;
  /// Called on a worker's own thread before its first tile. The root, which computes while all
  /// workers but one rest, has a number of its own after theirs; in a tree of one sphere it is 0.
  std::function<void(int worker)> prepare_worker;
  /// Test hooks, called before each message is handled and before each tile is run. They may sleep
  /// or throw.
  std::function<void(int sphere)> before_message;
  std::function<void(int worker, const TileClaim&)> before_tile;
  /// A hook for benchmarks: called after each tile, on the worker's thread, with the time it took.
  std::function<void(int worker, const TileClaim&, std::uint64_t nanoseconds)> after_tile;
};

/// Thread safety: one thread at a time calls run; that thread is the root. Any thread may read the
/// counters. The destructor stops and joins every sphere.
///
/// Waiting: while another thread is about to open a phase, a worker looks for tiles for a short
/// time, then sleeps until the stage's event. It does not spin when more threads compute than there
/// are cores, nor while only the root can open the next job and the root has no core of its own.
class SphereTree {
 public:
  SphereTree(const TreePlan& plan, TreeOptions options);
  ~SphereTree();
  SphereTree(const SphereTree&) = delete;
  SphereTree& operator=(const SphereTree&) = delete;

  /// Runs the stage to its end, with the calling thread as root. Rethrows the first exception of
  /// any sphere once no tile is being run; after that the tree runs nothing and throws the same
  /// again. In a process forked after the threads were made it throws Error at once, because
  /// threads are not copied; there the destructor leaves them alone. REQUIRES: `stage` and what it
  /// refers to outlive the tree.
  void run(Stage& stage, Conductor& conductor);

  /// Lets the first `workers` (1 to most_active_workers()) compute from the next run on; the others
  /// stay asleep. If that is one of several workers, the root computes instead of it. REQUIRES:
  /// called on the thread that calls run, between runs.
  void set_active(int workers) noexcept { active_.store(workers, std::memory_order_relaxed); }

  /// Says where a worker may run from now on. If the worker is the calling thread, nothing changes.
  void allow_worker(int worker, const std::vector<int>& cpus) noexcept;

  const TreePlan& plan() const noexcept { return plan_; }
  const std::vector<int>& cpus() const noexcept { return options_.cpus; }
  int workers() const noexcept { return static_cast<int>(plan_.workers.size()); }
  int active_workers() const noexcept { return active_.load(std::memory_order_relaxed); }
  int most_active_workers() const noexcept { return most_active_; }
  /// These give each worker's run of blocks and the number of owners (TreePlan) with as many active
  /// as possible.
  std::vector<int> owned_runs() const { return plan_.owned_runs(most_active_); }
  int owners() const { return plan_.owners(most_active_); }
  /// Says whether an active worker is at or below the sphere.
  bool is_active(int sphere) const noexcept {
    return first_worker_[static_cast<std::size_t>(sphere)] < active_workers();
  }

  const SphereCounters& counters(int sphere) const noexcept {
    return counters_[static_cast<std::size_t>(sphere)];
  }
  /// Returns the CPU time of a sphere's thread so far. REQUIRES: for the root, called on its
  /// thread.
  double cpu_seconds(int sphere) const;

 private:
  std::vector<ChildSphere> children_of(int sphere) const;
  std::size_t mailbox_capacity(const SpherePlan& sphere) const;
  void start_threads();
  bool threads_are_elsewhere() const noexcept;
  void send(Outbox& out);
  void handle_hook(int sphere) noexcept;
  void control_main(int sphere);
  void worker_main(int sphere, int worker);
  void compute(Stage& stage, int sphere, int worker, const TileClaim& claim) noexcept;
  void sleep(WorkerLogic& logic, int sphere) noexcept;
  /// Says how long to look before sleeping while others finish a phase.
  std::uint64_t phase_spin_ns() const noexcept;
  /// Says how long to look while waiting for the root; the root itself looks as long.
  std::uint64_t root_spin_ns() const noexcept;
  /// Says how often a control lets other threads of its core go first before it sleeps.
  int control_yields() const noexcept;
  int root_as_worker() const noexcept { return plan_.spheres.size() == 1 ? 0 : workers(); }
  void run_to_end(Stage& stage, Conductor& conductor);
  void run_dry(Stage& stage) noexcept;

  const TreePlan plan_;
  const TreeOptions options_;
  std::vector<int> first_worker_;  // by sphere: the first one at or below it
  int most_active_ = 0;
  // Written by the root between runs. A worker learns from the Work sent to it whether it takes
  // part; other readers only decide how long to look before they sleep.
  std::atomic<int> active_{0};
  ErrorSlot error_;
  std::unique_ptr<SphereCounters[]> counters_;
  std::vector<std::unique_ptr<Mailbox>> mailboxes_;
  std::unique_ptr<RootLogic> root_;
  Outbox root_out_;
  bool root_prepared_ = false;
  std::vector<std::thread> threads_;  // by sphere - 1
  const int process_;                 // the process that has the threads
};

}  // namespace cllm
