// The tree of spheres as threads: made once, runs stages until it is destroyed.
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
  /// CPUs that this process may compute on at once; at most as many workers are active in a stage.
  int cores = 1;
  /// CPUs that the threads may run on; empty: those of the thread that makes the tree.
  std::vector<int> cpus;
  /// Test hook: every worker is active, whatever the cores.
  bool activate_all = false;
  /// Called on a worker's own thread before its first tile. The root, which computes while all
  /// workers but one rest, has a number of its own behind theirs; in a tree of one sphere it is 0.
  std::function<void(int worker)> prepare_worker;
  /// Test hooks: may sleep or throw. Before each message is handled; before each tile is run.
  std::function<void(int sphere)> before_message;
  std::function<void(int worker, const TileClaim&)> before_tile;
  /// For benchmarks: after each tile, on the worker's thread, with the time that it took.
  std::function<void(int worker, const TileClaim&, std::uint64_t nanoseconds)> after_tile;
};

/// Thread safety: one thread at a time calls run; that thread is the root. Counters may be read by
/// anybody. The destructor stops and joins every sphere.
///
/// Waiting: a worker looks for tiles for a short while where somebody is about to open a phase,
/// then sleeps until the stage's event. It does not spin when more threads compute than there are
/// cores, nor while only the root can open the next job and the root has no core of its own.
class SphereTree {
 public:
  SphereTree(const TreePlan& plan, TreeOptions options);
  ~SphereTree();
  SphereTree(const SphereTree&) = delete;
  SphereTree& operator=(const SphereTree&) = delete;

  /// Runs the stage to its end on the calling thread as root. Rethrows the first exception of any
  /// sphere, when no tile is being run any more; after that the tree runs nothing and throws the
  /// same again.
  /// In a process that was forked off since the threads were made, throws Error at once: threads
  /// are not copied. The destructor leaves them alone there.
  /// REQUIRES: `stage` and what it refers to outlive the tree.
  void run(Stage& stage, Conductor& conductor);

  /// The first `workers` (1 to most_active_workers()) compute from the next run on, the others stay
  /// asleep. Where that is one of several the root computes instead of it.
  /// REQUIRES: the thread that calls run, between runs.
  void set_active(int workers) noexcept { active_.store(workers, std::memory_order_relaxed); }

  /// Where a worker may run from now on. The calling thread, when it is one, stays as it is.
  void allow_worker(int worker, const std::vector<int>& cpus) noexcept;

  const TreePlan& plan() const noexcept { return plan_; }
  const std::vector<int>& cpus() const noexcept { return options_.cpus; }
  int workers() const noexcept { return static_cast<int>(plan_.workers.size()); }
  int active_workers() const noexcept { return active_.load(std::memory_order_relaxed); }
  int most_active_workers() const noexcept { return most_active_; }
  /// By worker, and how many they are (TreePlan), when as many as can be are active.
  std::vector<int> owned_runs() const { return plan_.owned_runs(most_active_); }
  int owners() const { return plan_.owners(most_active_); }
  /// Whether an active worker is at or below the sphere.
  bool is_active(int sphere) const noexcept {
    return first_worker_[static_cast<std::size_t>(sphere)] < active_workers();
  }

  const SphereCounters& counters(int sphere) const noexcept {
    return counters_[static_cast<std::size_t>(sphere)];
  }
  /// CPU time of a sphere's thread so far. REQUIRES: for the root, called on its thread.
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
  /// How long to look before sleeping while others finish a phase.
  std::uint64_t phase_spin_ns() const noexcept;
  /// The same while waiting for the root, and of the root itself.
  std::uint64_t root_spin_ns() const noexcept;
  /// How often a control lets others of its core go first before it sleeps.
  int control_yields() const noexcept;
  int root_as_worker() const noexcept { return plan_.spheres.size() == 1 ? 0 : workers(); }
  void run_to_end(Stage& stage, Conductor& conductor);
  void run_dry(Stage& stage) noexcept;

  const TreePlan plan_;
  const TreeOptions options_;
  std::vector<int> first_worker_;  // by sphere: the first one at or below it
  int most_active_ = 0;
  // Written by the root between runs. Who takes part learns it from the Work that is sent; who
  // reads it here only decides how long to look before sleeping.
  std::atomic<int> active_{0};
  ErrorSlot error_;
  std::unique_ptr<SphereCounters[]> counters_;
  std::vector<std::unique_ptr<Mailbox>> mailboxes_;
  std::unique_ptr<RootLogic> root_;
  Outbox root_out_;
  bool root_prepared_ = false;
  std::vector<std::thread> threads_;  // by sphere - 1
  const int process_;                 // the one that has the threads
};

}  // namespace cllm
