// The words of a job under the model checker: the same source as the threads run.
#include <gtest/gtest.h>

#include <memory>

#include "relacy_atomics.h"
#include "spheres/job.h"
#include "sync/parker.h"

namespace cllm {
namespace {

/// Two workers on a job of two phases of two tiles, run twice. Whoever is not in the last tile of
/// the first run may still be looking at the job, or falling asleep on it, when the root closes and
/// opens it for the second. Every tile runs once a run and after all of the phase before, and all
/// leave.
template <class Atomics>
struct JobModel : rl::test_suite<JobModel<Atomics>, 3> {
  static constexpr unsigned kRoot = 2;
  static constexpr std::uint32_t kRuns = 2;

  void thread(unsigned self) {
    if (self == kRoot) {
      root();
    } else {
      worker(self);
    }
  }

  void tell_workers(std::uint32_t number) {
    for (unsigned w = 0; w < kRoot; ++w) {
      state->inbox[w].store(number, std::memory_order_release);
      state->parkers[w].wake();
    }
  }

  void root() {
    State& s = *state;
    for (std::uint32_t run = 1; run <= kRuns; ++run) {
      s.job.reset();
      s.job.arrive();
      tell_workers(run);
      const auto over = [&] { return s.finished.load(std::memory_order_acquire) == run; };
      while (!over()) s.parkers[kRoot].park_unless(over);
      for (auto& cell : s.cells) RL_ASSERT(cell == run);
    }
    tell_workers(kRuns + 1);
  }

  void worker(unsigned self) {
    std::uint32_t last = 0;
    const auto message = [&] { return state->inbox[self].load(std::memory_order_acquire) != last; };
    for (;;) {
      while (!message()) state->parkers[self].park_unless(message);
      last = state->inbox[self].load(std::memory_order_acquire);
      if (last > kRuns) return;
      work(message);
    }
  }

  /// As in the tree: until the job is finished or there is a message.
  template <class Message>
  void work(const Message& message) {
    State& s = *state;
    while (!message()) {
      const std::uint64_t observed = s.job.observe();
      const auto ticket = s.job.claim();
      if (ticket.phase == 0) {
        if (s.job.state_of(observed) == BasicJob<Atomics>::State::kFinished) return;
        s.job.park(observed);
        continue;
      }
      run_tile(ticket.phase, ticket.tile);
      if (!s.job.finish_tile(ticket.phase)) continue;
      s.job.close();
      s.finished.fetch_add(1, std::memory_order_acq_rel);
      s.parkers[kRoot].wake();
    }
  }

  void run_tile(std::int32_t phase, std::int32_t tile) {
    State& s = *state;
    auto& cell = s.cells[2 * (phase - 1) + tile];
    const std::uint32_t run = cell + 1;
    if (phase == 2) {
      for (int before : {0, 1}) RL_ASSERT(s.cells[before] == run);
    }
    cell = run;
  }

  struct State {
    State() {
      plan.tiles = {2, 2};
      job.bind(plan);
    }
    JobPlan plan;
    BasicJob<Atomics> job;
    Parker<Atomics> parkers[3];
    typename Atomics::template Atomic<std::uint32_t> finished{0};
    typename Atomics::template Atomic<std::uint32_t> inbox[2] = {{0}, {0}};
    typename Atomics::template Plain<std::uint32_t> cells[4] = {0, 0, 0, 0};
  };
  std::unique_ptr<State> state = std::make_unique<State>();  // aligned, which the checker is not
};

template <Weaken kWeaken>
using Jobs = JobModel<RelacyAtomics<kWeaken, true>>;

TEST(JobModel, RandomWithAStraggler) {
  const Finding finding = check<Jobs<Weaken::kNothing>>({rl::sched_random, 20000});
  tell("2 workers, 2 x 2 tiles, 2 runs, random", finding);
  EXPECT_EQ(finding.result, rl::test_result_success);
  EXPECT_EQ(finding.executions, 20000u);
}

TEST(JobModel, FindsAMissingOrderOfThePhase) {
  const Finding finding = check<Jobs<Weaken::kExchange>>({rl::sched_random, 100000, 0, true});
  tell("missing order of the phase", finding);
  EXPECT_EQ(finding.result, rl::test_result_data_race);
}

}  // namespace
}  // namespace cllm
