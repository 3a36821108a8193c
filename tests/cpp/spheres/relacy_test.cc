// The words of a job run under the model checker, from the same source as the threads run.
#include <memory>

#include "relacy_search.h"
#include "spheres/job.h"
#include "sync/event_count.h"
#include "sync/parker.h"

namespace cllm {
namespace {

/// A planted bug. The sleeper announces itself after its last look: an event between the two wakes
/// nobody.
template <class Atomics>
class LateEventCount : public EventCount<Atomics> {
 public:
  std::uint32_t prepare() { return 0; }
  void cancel() {}
  void wait(std::uint32_t) { EventCount<Atomics>::wait(EventCount<Atomics>::prepare()); }
};

/// A planted bug. The last tile of every strand is taken for the last of the job.
template <class Atomics>
class LastOfAStrandJob : public BasicJob<Atomics> {
 public:
  typename BasicJob<Atomics>::Ticket claim(int seat) {
    auto ticket = BasicJob<Atomics>::claim(seat);
    ticket.last = ticket.phase > 0;
    return ticket;
  }
};

/// Two strands and a phase after both.
struct TwoStrands {
  static constexpr int kPhases = 4;
  static JobPlan plan() {
    JobPlan plan;
    plan.phases = {{1, {}, 1}, {1, {}, 2}, {1, {0}, 1}, {1, {1, 2}}};
    return plan;
  }
};

/// A lap of two phases in two strands: the words of its first time are those of its fourth.
struct ALap {
  static constexpr int kPhases = 10;
  static JobPlan plan() {
    JobPlan plan;
    plan.phases = {{1, {}, 1}, {1, {}, 2}, {1, {0, 1}, 1}, {1, {0, 1}, 2}};
    plan.laps = {{2, 1}, {2, 4}};
    return plan;
  }
};

/// Two workers on such a job, run twice. Whoever is not in the
/// last tile of the first run may still be looking at the job, or falling asleep, when the root
/// closes and opens it for the second. Every tile runs once a run, after the opening and those that
/// its phase waits for, one tile is the last, and all leave.
template <class Atomics, template <class> class Event, template <class> class JobOf, class Shape>
struct JobModel : rl::test_suite<JobModel<Atomics, Event, JobOf, Shape>, 3> {
  using Ticket = typename BasicJob<Atomics>::Ticket;
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
      s.input = run;
      if (run == 1) tell_workers(run);  // the second time they may be looking already
      if (s.job.arrive()) s.event.notify(s.job.first_tiles());
      if (run > 1) tell_workers(run);
      const auto over = [&] { return s.finished.load(std::memory_order_acquire) == run; };
      while (!over()) s.parkers[kRoot].park_unless(over);
      for (auto& cell : s.cells) RL_ASSERT(cell == run);
      RL_ASSERT(s.lasts.load(std::memory_order_relaxed) == run);
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
      work(static_cast<int>(self));
    }
  }

  /// As in the tree: until no tile is left.
  void work(int self) {
    State& s = *state;
    while (!s.job.claimed_out()) {
      Ticket ticket = claim(self);
      if (ticket.phase < 0) {
        const std::uint32_t observed = s.event.prepare();
        ticket = claim(self);
        if (ticket.phase < 0 && !s.job.claimed_out()) {
          s.event.wait(observed);
          continue;
        }
        s.event.cancel();
      }
      if (ticket.phase >= 0) run(ticket);
    }
  }

  Ticket claim(int self) {
    const Ticket ticket = state->job.claim(self);
    if (ticket.last) {
      state->lasts.fetch_add(1, std::memory_order_relaxed);
      state->event.notify(kWakeAll);
    }
    if (ticket.next_ready > 0) state->event.notify(ticket.next_ready);
    return ticket;
  }

  void run(const Ticket& ticket) {
    State& s = *state;
    auto& cell = s.cells[ticket.phase];
    const std::uint32_t run = cell + 1;
    RL_ASSERT(s.input == run);
    for (int before : s.phases[static_cast<std::size_t>(ticket.phase)].after) {
      RL_ASSERT(s.cells[before] == run);
    }
    cell = run;
    const auto finished = s.job.finish_tile(ticket.phase);
    if (finished.opened > 0) s.event.notify(finished.opened);
    if (!finished.job) return;
    s.finished.fetch_add(1, std::memory_order_acq_rel);
    s.parkers[kRoot].wake();
  }

  struct State {
    State() {
      job.bind(Shape::plan());
      for (auto& cell : cells) cell = 0;
    }
    const std::vector<PhasePlan> phases = unrolled(Shape::plan());
    JobOf<Atomics> job;
    Event<Atomics> event;
    Parker<Atomics> parkers[3];
    typename Atomics::template Atomic<std::uint32_t> finished{0};
    typename Atomics::template Atomic<std::uint32_t> lasts{0};
    typename Atomics::template Atomic<std::uint32_t> inbox[2] = {{0}, {0}};
    typename Atomics::template Plain<std::uint32_t> input = 0;
    typename Atomics::template Plain<std::uint32_t> cells[Shape::kPhases];
  };
  std::unique_ptr<State> state = std::make_unique<State>();  // aligned, which the checker is not
};

template <Weaken kWeaken, template <class> class Event = EventCount, bool kEarlyWakes = true,
          template <class> class JobOf = BasicJob, class Shape = TwoStrands>
using Jobs = JobModel<RelacyAtomics<kWeaken, kEarlyWakes>, Event, JobOf, Shape>;

constexpr Search kRandom{rl::sched_random, 20000};

TEST(JobModel, RandomWithAStraggler) {
  expect_right<Jobs<Weaken::kNothing>>("2 workers, 3 strands, 2 runs, random", kRandom);
}

TEST(JobModel, RandomWithoutEarlyWakes) {
  expect_right<Jobs<Weaken::kNothing, EventCount, false>>(
      "2 workers, 3 strands, 2 runs, random, no early wakes", kRandom);
}

TEST(JobModel, RandomWithALap) {
  expect_right<Jobs<Weaken::kNothing, EventCount, true, BasicJob, ALap>>(
      "2 workers, a lap of 4 times, 2 runs, random", kRandom);
}

TEST(JobModel, FindsAMissingOrderOfThePhase) {
  expect_found<Jobs<Weaken::kFetchSub>>("missing order of the phase", rl::test_result_data_race);
}

TEST(JobModel, FindsAMissingOrderOfTheOpening) {
  expect_found<Jobs<Weaken::kStoreRelease>>("missing order of the opening",
                                            rl::test_result_data_race);
}

TEST(JobModel, FindsAnAnnouncementAfterTheLastLook) {
  expect_found<Jobs<Weaken::kNothing, LateEventCount, false>>("announced after the last look",
                                                              rl::test_result_deadlock);
}

TEST(JobModel, FindsAJobWithALastTileInEveryStrand) {
  expect_found<Jobs<Weaken::kNothing, EventCount, true, LastOfAStrandJob>>(
      "last of a strand", rl::test_result_user_assert_failed);
}

}  // namespace
}  // namespace cllm
