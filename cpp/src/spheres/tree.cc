#include "spheres/tree.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <exception>
#include <new>
#include <string>
#include <system_error>

#include "cllm/error.h"
#include "cpu/affinity.h"
#include "cpu/float_mode.h"

namespace cllm {
namespace {

// This is longer than the tail of most phases, and several times what sleeping and waking cost.
constexpr std::uint64_t kSpinNs = 60000;
// A spinning worker looks for tiles only when it is notified, so that it does not take the cache
// lines on which others count their tiles. It also looks now and then, because a phase that opened
// behind another one is not announced.
constexpr std::uint64_t kLookNs = 10000;
// Yields apply where threads outnumber cores: an empty step of 51 workers on two cores takes 124 us
// instead of 165 (spheres_bench). More yields shorten the slowest wakes but cost CPU time
// (sync_bench).
constexpr int kYields = 3;
constexpr std::size_t kMostReports = 256;  // reporting jobs of one stage

/// Explains the exception of std::thread, which says no more than "Resource temporarily
/// unavailable".
[[noreturn]] void rethrow_thread_error(const std::exception_ptr& error, std::size_t had,
                                       const TreePlan& plan) {
  try {
    std::rethrow_exception(error);
  } catch (const std::system_error& failed) {
    // One thread stays free for other parts of the program.
    const auto spheres = std::max<std::int64_t>(1, static_cast<std::int64_t>(had));
    const std::int64_t workers = count_workers(spheres, plan.symmetry_order);
    throw Error({"the system gives no more threads (" + failed.code().message() + ")",
                 std::to_string(had),
                 std::to_string(plan.spheres.size() - 1) + " for " +
                     std::to_string(plan.workers.size()) + " workers",
                 "",
                 "--workers " + std::to_string(workers) +
                     " works; limits: ulimit -u and -v, a container's pids.max"});
  }
}

std::size_t power_of_two_above(std::size_t n) {
  std::size_t p = 1;
  while (p < n) p *= 2;
  return p;
}

}  // namespace

SphereTree::SphereTree(const TreePlan& plan, TreeOptions options)
    : plan_(plan),
      options_(std::move(options)),
      first_worker_(plan.spheres.size(), 0),
      counters_(std::make_unique<SphereCounters[]>(plan.spheres.size())),
      process_(::getpid()) {
  most_active_ = options_.activate_all ? workers() : std::min(workers(), options_.cores);
  set_active(most_active_);
  for (int w = workers() - 1; w >= 0; --w) {
    for (int s = plan_.workers[static_cast<std::size_t>(w)]; s >= 0;
         s = plan_.spheres[static_cast<std::size_t>(s)].parent) {
      first_worker_[static_cast<std::size_t>(s)] = w;
    }
  }
  for (const SpherePlan& s : plan_.spheres) {
    mailboxes_.push_back(
        std::make_unique<Mailbox>(mailbox_capacity(s), counters_[static_cast<std::size_t>(s.id)]));
  }
  root_ = std::make_unique<RootLogic>(children_of(0));
  root_out_.reserve(plan_.spheres.size() + 1);

  start_threads();
}

void SphereTree::start_threads() {
  std::vector<int> worker_of(plan_.spheres.size(), -1);
  for (int w = 0; w < workers(); ++w) {
    worker_of[static_cast<std::size_t>(plan_.workers[static_cast<std::size_t>(w)])] = w;
  }
  threads_.reserve(plan_.spheres.size() - 1);
  try {
    for (std::size_t i = 1; i < plan_.spheres.size(); ++i) {
      const int id = static_cast<int>(i), worker = worker_of[i];
      threads_.emplace_back([this, id, worker] {
        allow_cpus(options_.cpus);
        if (worker < 0) {
          control_main(id);
        } else {
          worker_main(id, worker);
        }
      });
    }
  } catch (...) {  // the threads that run are stopped one by one
    const std::exception_ptr error = std::current_exception();
    for (std::size_t i = 1; i <= threads_.size(); ++i) {
      mailboxes_[i]->push({MessageKind::kStop, 0, nullptr, -1});
    }
    for (std::thread& t : threads_) t.join();
    rethrow_thread_error(error, threads_.size(), plan_);
  }
}

bool SphereTree::threads_are_elsewhere() const noexcept {
  return !threads_.empty() && ::getpid() != process_;
}

SphereTree::~SphereTree() {
  if (threads_are_elsewhere()) {  // neither join nor detach works here: leak them
    new (std::nothrow) std::vector<std::thread>(std::move(threads_));
    return;
  }
  root_->stop(root_out_);
  send(root_out_);
  for (std::thread& t : threads_) t.join();
}

std::vector<ChildSphere> SphereTree::children_of(int sphere) const {
  const SpherePlan& s = plan_.spheres[static_cast<std::size_t>(sphere)];
  std::vector<ChildSphere> children;
  for (int c = s.first_child; c < s.first_child + s.children; ++c) {
    children.push_back({c, first_worker_[static_cast<std::size_t>(c)]});
  }
  return children;
}

std::uint64_t SphereTree::phase_spin_ns() const noexcept {
  return active_workers() <= options_.cores ? kSpinNs : 0;
}

std::uint64_t SphereTree::root_spin_ns() const noexcept {
  return active_workers() < options_.cores ? kSpinNs : 0;
}

int SphereTree::control_yields() const noexcept {
  return active_workers() > options_.cores ? kYields : 0;
}

void SphereTree::allow_worker(int worker, const std::vector<int>& cpus) noexcept {
  const int sphere = plan_.workers[static_cast<std::size_t>(worker)];
  if (sphere > 0) {
    allow_cpus(threads_[static_cast<std::size_t>(sphere - 1)].native_handle(), cpus);
  }
}

std::size_t SphereTree::mailbox_capacity(const SpherePlan& sphere) const {
  const auto children = static_cast<std::size_t>(sphere.children);
  if (sphere.role == SphereRole::kWorker) return 4;  // Work and Stop
  return power_of_two_above(kMostReports + 2 * children + 4);
}

void SphereTree::send(Outbox& out) {
  for (const Outgoing& o : out) {
    counters_[static_cast<std::size_t>(o.message.from)].messages_out.add(1);
    mailboxes_[static_cast<std::size_t>(o.to)]->push(o.message);
  }
  out.clear();
}

void SphereTree::handle_hook(int sphere) noexcept {
  if (!options_.before_message) return;
  try {
    options_.before_message(sphere);
  } catch (...) {
    error_.set(std::current_exception());
  }
}

void SphereTree::control_main(int sphere) {
  Mailbox& mailbox = *mailboxes_[static_cast<std::size_t>(sphere)];
  const SpherePlan& self = plan_.spheres[static_cast<std::size_t>(sphere)];
  ControlLogic logic(sphere, self.parent, children_of(sphere));
  Outbox out;
  out.reserve(static_cast<std::size_t>(self.children) + 2);
  bool running = true;
  while (running) {
    const Message message = mailbox.wait_pop({0, control_yields()});
    handle_hook(sphere);
    running = logic.handle(message, out);
    send(out);
  }
}

void SphereTree::worker_main(int sphere, int worker) {
  const FloatMode mode;
  try {
    if (options_.prepare_worker) options_.prepare_worker(worker);
  } catch (...) {
    error_.set(std::current_exception());
  }
  Mailbox& mailbox = *mailboxes_[static_cast<std::size_t>(sphere)];
  WorkerLogic logic(sphere, plan_.spheres[static_cast<std::size_t>(sphere)].parent, worker);
  Outbox out;
  out.reserve(2);
  std::uint64_t idle_since = 0;  // 0: not idle
  std::uint32_t looked_at = 0;   // when idle: epoch of the stage's event before the last look
  for (;;) {
    const WorkerLogic::Move move = logic.next(mailbox.has_message(), out);
    send(out);
    switch (move) {
      case WorkerLogic::Move::kEnd:
        return;
      case WorkerLogic::Move::kReceive: {
        const Message message = mailbox.wait_pop({root_spin_ns(), 0});
        if (message.kind == MessageKind::kWork) handle_hook(sphere);
        logic.handle(message);
        break;
      }
      case WorkerLogic::Move::kRun:
        idle_since = 0;
        compute(*logic.stage(), sphere, worker, logic.claim());
        logic.ran(out);
        send(out);
        break;
      case WorkerLogic::Move::kWait: {
        const std::uint64_t now = now_ns();
        EventCount<>& event = logic.stage()->event();
        if (idle_since == 0) {
          idle_since = now;
        } else {
          while (!event.notified_since(looked_at) && !mailbox.has_message() &&
                 now_ns() - now < kLookNs) {
            spin_pause();
          }
        }
        const bool soon = logic.stage()->outlook() == Stage::Outlook::kSoon;
        if (now - idle_since < (soon ? phase_spin_ns() : root_spin_ns())) {
          looked_at = event.epoch();
          break;
        }
        idle_since = 0;
        sleep(logic, sphere);
        break;
      }
    }
  }
}

void SphereTree::sleep(WorkerLogic& logic, int sphere) noexcept {
  if (!logic.fall_asleep()) return;
  const std::uint64_t start = now_ns();
  logic.stage()->event().wait(logic.observed());
  counters_[static_cast<std::size_t>(sphere)].parked_ns.add(now_ns() - start);
}

// After an error tiles are claimed and reported but not computed, so that the stage runs dry at
// once and nobody waits forever.
void SphereTree::compute(Stage& stage, int sphere, int worker, const TileClaim& claim) noexcept {
  if (error_.raised()) return;
  SphereCounters& counters = counters_[static_cast<std::size_t>(sphere)];
  try {
    if (options_.before_tile) options_.before_tile(worker, claim);
    const std::uint64_t start = now_ns();
    stage.runner().run_tile(worker, claim);
    const std::uint64_t took = now_ns() - start;
    counters.busy_ns.add(took);
    counters.tiles.add(1);
    if (options_.after_tile) options_.after_tile(worker, claim, took);
  } catch (...) {
    error_.set(std::current_exception());
  }
}

void SphereTree::run(Stage& stage, Conductor& conductor) {
  if (threads_are_elsewhere()) {
    throw Error({"this process was forked while its spheres were running", "a child process",
                 "the process that made them", "",
                 "threads are not copied: fork first, or start processes with spawn"});
  }
  error_.rethrow();
  const FloatMode mode;
  try {
    run_to_end(stage, conductor);
  } catch (...) {
    error_.set(std::current_exception());
  }
  if (error_.raised()) run_dry(stage);
  error_.rethrow();
}

void SphereTree::run_to_end(Stage& stage, Conductor& conductor) {
  if (!root_prepared_) {
    if (options_.prepare_worker) options_.prepare_worker(root_as_worker());
    root_prepared_ = true;
  }
  Mailbox& mailbox = *mailboxes_[0];
  Message message;
  bool complete = false;
  const auto handle = [&] {
    handle_hook(0);
    if (error_.raised()) return;
    complete = root_->handle(message, root_out_);
    send(root_out_);
  };
  // A sphere that said Idle after the last Done of the run before is sent Work at once, not after
  // `meanwhile`.
  while (mailbox.try_pop(message)) {
    handle();
    if (error_.raised()) return;
  }
  const int active = active_workers();
  root_->start(stage, conductor, plan_.root_computes(active) ? 0 : active, root_out_);
  send(root_out_);
  conductor.meanwhile();

  WorkerLogic worker(0, 0, Stage::kRoot);
  worker.handle({MessageKind::kWork, 0, &stage, -1});
  while (!complete) {
    if (root_->is_alone()) {
      if (worker.next(false, root_out_) == WorkerLogic::Move::kRun) {
        compute(stage, 0, root_as_worker(), worker.claim());
        worker.ran(root_out_);
      } else {
        spin_pause();  // a worker of the run before may have taken a tile of this one
      }
      send(root_out_);
      if (!mailbox.try_pop(message)) continue;
    } else {
      message = mailbox.wait_pop({root_spin_ns(), control_yields()});
    }
    handle();
    if (error_.raised()) return;
  }
}

// The root claims tiles too, so it needs no help to finish what is open. It waits only for workers
// that are inside a tile.
void SphereTree::run_dry(Stage& stage) noexcept {
  stage.abandon();
  for (;;) {
    Message message;
    while (mailboxes_[0]->try_pop(message)) {
    }
    if (const TileClaim claim = stage.claim(Stage::kRoot, -1)) {
      stage.finish(claim);
      continue;
    }
    const std::uint32_t observed = stage.event().prepare();
    if (stage.finished()) return stage.event().cancel();
    stage.event().wait(observed);
  }
}

double SphereTree::cpu_seconds(int sphere) const {
  clockid_t clock = CLOCK_THREAD_CPUTIME_ID;
  if (sphere > 0) {
    auto& thread = const_cast<std::thread&>(threads_[static_cast<std::size_t>(sphere - 1)]);
    if (pthread_getcpuclockid(thread.native_handle(), &clock) != 0) return 0;
  }
  timespec time = {};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace cllm
