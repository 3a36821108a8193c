// The tree of spheres runs under load: every tile once and in order, on every tree, run after run;
// spheres that are not needed stay parked.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>
#include <xmmintrin.h>

#include <chrono>
#include <cstdio>
#include <stdexcept>

#include "cllm/error.h"
#include "sanitized.h"
#include "sphere_fixture.h"
#include "spheres/tree.h"

namespace cllm {
namespace {

using std::chrono::seconds;

TreeOptions options(int cores, bool activate_all) {
  TreeOptions o;
  o.cores = cores;
  o.activate_all = activate_all;
  return o;
}

/// Fewer runs for larger trees, which have more to do in each.
int runs_for(std::int64_t threads, int runs) {
  const std::int64_t fewer = threads == 1 ? 1 : threads + 4;
  return static_cast<int>(std::max<std::int64_t>(10, runs / fewer / (kSanitized ? 5 : 1)));
}

class Spheres : public testing::TestWithParam<std::int64_t> {};

// Two stages by turns, without a pause: who is late for one finds the other, or the next run of it.
TEST_P(Spheres, TinyStagesBackToBack) {
  const Watchdog watchdog("tiny stages back to back", seconds(200));
  for (const bool activate_all : {true, false}) {
    SphereRig rig(GetParam(), options(2, activate_all));
    SphereTree& tree = rig.tree();
    SyntheticStep& first = rig.add({1, 2, 2, 1, true, 1});
    SyntheticStep& second = rig.add({3, 2, 3, 2, true, 2});
    for (int run = 0; run < runs_for(GetParam(), 2000) && !HasFailure(); ++run) {
      first.run(tree);
      second.run(tree);
      if (run % 3 == 0) second.run(tree);
    }
  }
}

TEST_P(Spheres, StagesOfEveryShape) {
  const Watchdog watchdog("stages of every shape", seconds(200));
  SphereRig rig(GetParam(), options(2, true));
  SphereTree& tree = rig.tree();
  std::vector<SyntheticStep*> steps;
  for (int positions : {1, 2, 3, 5, 7, 11, 12}) {
    for (int limit : {1, 3, 12}) {
      const auto seed = static_cast<std::uint32_t>(positions * 100 + limit);
      steps.push_back(&rig.add({positions, 6, 9, limit, limit != 3, seed}));
    }
  }
  for (int run = 0; run < runs_for(GetParam(), 150) && !HasFailure(); ++run) {
    for (SyntheticStep* step : steps) step->run(tree);
  }
}

TEST_P(Spheres, DelaysAtEveryBorderChangeNothing) {
  const Watchdog watchdog("stages with delays", seconds(200));
  RandomDelay delay(5);
  TreeOptions o = options(2, true);
  o.before_message = [&](int sphere) { delay(sphere); };
  o.before_tile = [&](int worker, const TileClaim&) { delay(worker); };
  SphereRig rig(GetParam(), o);
  SphereTree& tree = rig.tree();
  SyntheticStep& step = rig.add({6, 4, 40, 4, true, 5});
  SyntheticStep& other = rig.add({1, 8, 80, 1, false, 6});
  const auto idle = [&] {
    int workers = 0;
    for (int w = 0; w < tree.workers(); ++w) {
      if (step.tiles_of(w) + other.tiles_of(w) == 0) ++workers;
    }
    return workers;
  };
  // Each worker comes to its turn, sooner or later: a busy machine starts some threads late.
  for (int run = 0; run < 5 || (idle() > 0 && run < 200); ++run) {
    step.run(tree);
    other.run(tree);
    if (HasFailure()) return;
  }
  const TreePlan& plan = tree.plan();
  for (const SpherePlan& s : plan.spheres) {
    if (s.role == SphereRole::kControl) {
      EXPECT_GE(tree.counters(s.id).messages_in.get(), 1u) << "control " << s.id;
      EXPECT_EQ(tree.counters(s.id).tiles.get(), 0u) << "a control never computes";
    }
  }
  std::uint64_t tiles = 0;
  for (int w = 0; w < tree.workers(); ++w) {
    const std::uint64_t ran = step.tiles_of(w) + other.tiles_of(w);
    const int id = plan.workers[static_cast<std::size_t>(w)];
    EXPECT_GE(ran, 1u) << "worker " << w << " of " << tree.workers();
    EXPECT_EQ(tree.counters(id).tiles.get(), ran);
    tiles += ran;
  }
  EXPECT_EQ(tiles, step.runs() * (step.tiles() + other.tiles()));
}

INSTANTIATE_TEST_SUITE_P(Threads, Spheres, testing::ValuesIn(tried_threads()),
                         testing::PrintToStringParamName());

// At most as many workers as cores take part; the others and their controls are asleep all the
// time.
TEST(SphereTree, OnlyAsManyWorkersAsCoresAreActive) {
  const Watchdog watchdog("two workers of 51", seconds(100));
  SphereRig rig(64, options(2, false));
  SphereTree& tree = rig.tree();
  ASSERT_EQ(tree.workers(), 51);
  EXPECT_EQ(tree.active_workers(), 2);
  SyntheticStep& step = rig.add({4, 8, 20, 4, true, 3});
  step.run(tree);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // every thread has started
  std::vector<double> before;
  for (const SpherePlan& s : tree.plan().spheres) before.push_back(tree.cpu_seconds(s.id));
  for (int run = 0; run < 100; ++run) step.run(tree);
  int active = 0;
  for (const SpherePlan& s : tree.plan().spheres) {
    if (s.id == 0 || tree.is_active(s.id)) {
      ++active;
      continue;
    }
    const double used = tree.cpu_seconds(s.id) - before[static_cast<std::size_t>(s.id)];
    EXPECT_LT(used, 1e-4) << "sphere " << s.id;
    EXPECT_EQ(tree.counters(s.id).messages_in.get(), 0u);
    EXPECT_EQ(tree.counters(s.id).tiles.get(), 0u);
  }
  EXPECT_EQ(active, 4) << "the root, one control and its first two workers";
  const auto tiles = [&](int w) { return step.tiles_of(w); };
  EXPECT_EQ(tiles(0) + tiles(1), 101 * step.tiles());
}

// Fewer take part from one run to the next, then more again: who is left out sleeps, who is asked
// comes, and no run is lost.
TEST(SphereTree, TheActiveSetMayChangeBetweenRuns) {
  const Watchdog watchdog("a changing set of workers", seconds(100));
  SphereRig rig(64, options(64, true));
  SphereTree& tree = rig.tree();
  SyntheticStep& step = rig.add({4, 8, 20, 4, true, 3});
  const int counts[] = {51, 1, 7, 2, 51, 25};
  std::uint64_t strays = 0, wanted_of_root = 0;
  for (int turn = 0; turn < (kSanitized ? 60 : 300); ++turn) {
    const int active = counts[turn % 6];
    tree.set_active(active);
    EXPECT_EQ(tree.active_workers(), active);
    for (int w = active; w < tree.workers(); ++w) strays -= step.tiles_of(w);
    step.run(tree);
    for (int w = active; w < tree.workers(); ++w) strays += step.tiles_of(w);
    if (active == 1) wanted_of_root += step.tiles();
  }
  // Who was about to claim when the run before ended may get one tile of the next.
  EXPECT_LT(strays, step.runs() * step.tiles() / 100);
  const std::uint64_t of_root = step.tiles_of(tree.workers());
  EXPECT_LE(of_root, wanted_of_root);
  EXPECT_GT(of_root, wanted_of_root - step.runs() * step.tiles() / 100)
      << "it computes while all workers but one rest";
  EXPECT_EQ(tree.counters(0).tiles.get(), of_root);
  std::uint64_t tiles = of_root;
  for (int w = 0; w < tree.workers(); ++w) tiles += step.tiles_of(w);
  EXPECT_EQ(tiles, step.runs() * step.tiles());
  EXPECT_EQ(tree.most_active_workers(), 51);
}

// One worker has work: nobody is woken for it.
TEST(SphereTree, TheRootComputesWhileAllWorkersButOneRest) {
  const Watchdog watchdog("a root alone", seconds(100));
  for (int threads : {3, 14, 64}) {
    SphereRig rig(threads, options(2, true));
    SphereTree& tree = rig.tree();
    tree.set_active(1);
    SyntheticStep& step = rig.add({4, 8, 20, 4, true, 3});
    for (int run = 0; run < 20; ++run) step.run(tree);
    EXPECT_EQ(step.tiles_of(tree.workers()), 20 * step.tiles());
    for (const SpherePlan& s : tree.plan().spheres) {
      if (s.id == 0) continue;
      EXPECT_EQ(tree.counters(s.id).messages_in.get(), 0u) << s.id;
    }
  }
  SphereRig rig(2, options(2, true));  // its one worker does not rest
  SyntheticStep& step = rig.add({4, 8, 20, 4, true, 3});
  step.run(rig.tree());
  EXPECT_EQ(step.tiles_of(0), step.tiles());
}

// A lone worker that never spins would sleep for ever on a job that opened just before it lay down.
TEST(SphereTree, LooksOnceMoreBeforeItSleeps) {
  const Watchdog watchdog("a lone worker without spinning", seconds(100));
  SphereRig rig(2, options(0, true));
  SyntheticStep& step = rig.add({12, 1, 1, 1, true, 3});
  for (int run = 0; run < (kSanitized ? 300 : 3000) && !HasFailure(); ++run) step.run(rig.tree());
}

// A program may make its threads take denormal numbers for 0, before the tree is made or after.
TEST(SphereTree, KeepsDenormalNumbersOnEveryThread) {
  const Watchdog watchdog("denormal numbers", seconds(100));
  constexpr unsigned kFlush = 0x8040;  // of results and of operands
  const unsigned before = _mm_getcsr();
  for (const int threads : {1, 3}) {
    for (const bool at_first : {true, false}) {
      if (at_first) _mm_setcsr(before | kFlush);
      std::atomic<int> flushed{0}, tiles{0};
      TreeOptions o = options(2, true);
      o.before_tile = [&](int, const TileClaim&) {
        volatile float small = 1e-30f, smaller = 1e-10f;
        const float product = small * smaller;
        flushed += product > 0 ? 0 : 1;
        ++tiles;
      };
      SphereRig rig(threads, o);
      _mm_setcsr(before | kFlush);
      SyntheticStep& step = rig.add({4, 8, 20, 4, true, 3});
      for (int run = 0; run < 10; ++run) {
        if (run == 5) rig.tree().set_active(1);
        step.run(rig.tree());
      }
      EXPECT_EQ(_mm_getcsr() & kFlush, kFlush) << "the caller's own choice stays";
      _mm_setcsr(before);
      EXPECT_GT(tiles, 0);
      EXPECT_EQ(flushed, 0) << threads << " spheres";
    }
  }
}

TEST(SphereTree, SleepsBetweenRuns) {
  const Watchdog watchdog("a tree with nothing to do", seconds(100));
  SphereRig rig(14, options(64, true));
  SphereTree& tree = rig.tree();  // spinning is allowed
  SyntheticStep& step = rig.add({4, 8, 20, 4, true, 3});
  step.run(tree);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // whoever spins has gone to sleep
  std::vector<double> before;
  for (const SpherePlan& s : tree.plan().spheres) before.push_back(tree.cpu_seconds(s.id));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  for (const SpherePlan& s : tree.plan().spheres) {
    if (s.id == 0) continue;
    EXPECT_LT(tree.cpu_seconds(s.id) - before[static_cast<std::size_t>(s.id)], 1e-4) << s.id;
  }
}

// Each run costs each edge at most a Work, an Idle and the Dones: no mailbox can fill.
TEST(SphereTree, MessagesOfARunAreBounded) {
  const Watchdog watchdog("a count of messages", seconds(100));
  SphereRig rig(64, options(2, true));
  SphereTree& tree = rig.tree();
  SyntheticStep& step = rig.add({12, 3, 8, 12, true, 4});
  constexpr std::uint64_t kRuns = 40;
  for (std::uint64_t run = 0; run < kRuns; ++run) step.run(tree);
  const auto reports = static_cast<std::uint64_t>(step.reports());
  std::uint64_t dones_and_idles_of_controls = 0;
  for (const SpherePlan& s : tree.plan().spheres) {
    const SphereCounters& c = tree.counters(s.id);
    const auto children = static_cast<std::uint64_t>(s.children);
    if (s.role == SphereRole::kRoot) {
      EXPECT_GE(c.messages_in.get(), kRuns * reports) << "every Done climbs to the root";
      EXPECT_LE(c.messages_in.get(), kRuns * (reports + children));
      EXPECT_LE(c.messages_out.get(), kRuns * children);
    } else if (s.role == SphereRole::kControl) {
      EXPECT_LE(c.messages_in.get(), kRuns * (1 + children + reports));
      EXPECT_LE(c.queue_high_water.get(), 1 + children + reports);
      dones_and_idles_of_controls += c.messages_out.get();
    } else {
      EXPECT_LE(c.messages_in.get(), kRuns);
      EXPECT_LE(c.queue_high_water.get(), 1u);
    }
  }
  EXPECT_GE(dones_and_idles_of_controls, kRuns * reports);
}

TEST(SphereTree, StartsAndStopsWithoutWork) {
  const Watchdog watchdog("trees that never run", seconds(100));
  for (std::int64_t threads : tried_threads()) {
    SphereRig rig(threads, options(2, true));
    SphereTree& tree = rig.tree();
    EXPECT_EQ(tree.plan().spheres.size(), static_cast<std::size_t>(threads));
  }
}

TEST(SphereTree, TwoTreesOfOneProcessAreApart) {
  const Watchdog watchdog("two trees", seconds(100));
  const auto work = [](std::uint32_t seed) {
    SphereRig rig(14, options(2, true));
    SphereTree& tree = rig.tree();
    SyntheticStep& step = rig.add({5, 3, 6, 3, true, seed});
    for (int run = 0; run < 50; ++run) step.run(tree);
  };
  std::thread other([&] { work(8); });
  work(9);
  other.join();
}

// Memory for some stacks only: the constructor throws, and those that started are joined.
TEST(SphereTree, ThrowsWhenThreadsCannotStart) {
  if (kSanitized) GTEST_SKIP() << "sanitizers map terabytes, so address space cannot be bounded";
  const Watchdog watchdog("a tree that cannot start", seconds(100));
  long pages = 0;
  std::FILE* statm = std::fopen("/proc/self/statm", "r");
  ASSERT_NE(statm, nullptr);
  ASSERT_EQ(std::fscanf(statm, "%ld", &pages), 1);
  std::fclose(statm);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
  rlimit bound = before;
  bound.rlim_cur =
      static_cast<rlim_t>(pages) * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (rlim_t{100} << 20);
  const TreePlan plan = plan_tree(200);
  ASSERT_EQ(setrlimit(RLIMIT_AS, &bound), 0);
  EXPECT_THROW(SphereTree(plan, options(2, true)), Error) << "with numbers: FewThreads";
  ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
  SphereRig rig(200, options(2, true));
  SyntheticStep& step = rig.add({3, 3, 6, 3, true, 1});
  step.run(rig.tree());
}

TEST(Stage, RefusesWhatWouldNeverEnd) {
  struct Runner : TileRunner {
    void run_tile(int, const TileClaim&) override {}
  } runner;
  JobPlan plan;
  EXPECT_THROW(Stage({plan}, {0}, runner), std::invalid_argument) << "no phase";
  plan.phases = {{2, {}}, {0, {}}};
  EXPECT_THROW(Stage({plan}, {0}, runner), std::invalid_argument) << "no tile";
  plan.phases = {{2, {}}, {1, {1}}};
  EXPECT_THROW(Stage({plan}, {0}, runner), std::invalid_argument) << "waits for itself";
  plan.phases = {{2, {}}, {1, {0}}, {1, {}}};
  EXPECT_EQ(Stage({plan}, {0}, runner).jobs(), 1);
  plan.laps = {{3, 1}, {1, 1}};
  EXPECT_THROW(Stage({plan}, {0}, runner), std::invalid_argument) << "laps of more phases";
  plan.phases = {{1, {}}, {1, {0}}, {1, {}}};
  plan.laps = {{2, 1}, {1, 4}};
  EXPECT_THROW(Stage({plan}, {0}, runner), std::invalid_argument) << "waits for no time before";
  plan.phases = {{1, {}}, {1, {0}}, {1, {0}}};
  EXPECT_THROW(Stage({plan}, {0}, runner), std::invalid_argument) << "too far back";
  plan.phases = {{1, {}}, {1, {0}}, {1, {3}}};
  plan.laps = {{1, 1}, {1, 4}, {1, 1}};
  EXPECT_THROW(Stage({plan}, {0}, runner), std::invalid_argument) << "not for the last time";
  plan.phases[2].after = {4};
  EXPECT_EQ(Stage({plan}, {0}, runner).jobs(), 1);
}

}  // namespace
}  // namespace cllm
