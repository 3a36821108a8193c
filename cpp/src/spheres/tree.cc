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
#include "cllm/wording.h"
#include "cpu/affinity.h"

namespace cllm {
namespace {

// This is longer than the tail of most phases, and several times what sleeping and waking cost.
constexpr std::uint64_t kSpinNs = 60000;
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
                 option_word("workers", std::to_string(workers)) +
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
