// Whatever throws, and wherever, run() ends within a second with the original exception. The tree
// then runs nothing more, its destructor does not hang, and another tree does not notice.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>

#include "sphere_fixture.h"

namespace cllm {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

/// What the tests throw: nothing else does.
struct Fault : std::runtime_error {
  Fault(const std::string& text, int number) : std::runtime_error(text), code(number) {}
  int code;
};

const std::vector<std::int64_t>& faulty_threads() {
  static const std::vector<std::int64_t> threads = {1, 3, 14, 64};
  return threads;
}

SyntheticStep::Shape shape() { return {5, 3, 6, 2, true, 21}; }

/// Runs until the fault comes out, which must be the original one, whole, and within a second.
void expect_fault(SphereTree& tree, SyntheticStep& step, const std::string& text, int code) {
  // A hook of a sphere that a run can do without may throw too late for it: the next one says so.
  for (int run = 0; run < 1000; ++run) {
    const auto start = Clock::now();
    try {
      step.run(tree);
    } catch (const Fault& fault) {
      EXPECT_LT(Clock::now() - start, seconds(1));
      EXPECT_EQ(fault.what(), text);
      EXPECT_EQ(fault.code, code);
      return;
    }
  }
  FAIL() << text << " never came out";
}

/// The fault comes out again, at once; the tree stops within a second; a new one works.
void expect_dead(SphereRig& rig, SyntheticStep& step, const std::string& text, int code) {
  expect_fault(rig.tree(), step, text, code);
  const std::uint64_t runs = step.runs();
  expect_fault(rig.tree(), step, text, code);
  EXPECT_EQ(step.runs(), runs + 1) << "the first run after a fault throws";
  const auto start = Clock::now();
  rig.destroy_tree();
  EXPECT_LT(Clock::now() - start, seconds(1));
}

TreeOptions with_all() {
  TreeOptions options;
  options.cores = 2;
  options.activate_all = true;
  return options;
}

class SpheresFault : public testing::TestWithParam<std::int64_t> {
 protected:
  Watchdog watchdog_{"a tree with a fault", seconds(250)};
};

TEST_P(SpheresFault, TileOfEachPhase) {
  struct Target {
    int job, phase;
  };
  std::vector<Target> targets;
  {
    SphereRig rig(GetParam(), with_all());
    SyntheticStep& step = rig.add(shape());
    for (int j = 0; j < step.jobs(); ++j) {
      for (int p = 0; p < step.phases(j); ++p) targets.push_back({j, p});
    }
  }
  ASSERT_GE(targets.size(), 10u);
  for (const Target& target : targets) {
    const std::string text = "job " + std::to_string(target.job);
    std::atomic<bool> armed{false};
    TreeOptions options = with_all();
    options.before_tile = [&](int, const TileClaim& claim) {
      if (armed && claim.job == target.job && claim.phase == target.phase) {
        throw Fault(text, target.phase);
      }
    };
    SphereRig rig(GetParam(), options);
    SyntheticStep& step = rig.add(shape());
    for (int run = 0; run < 3; ++run) step.run(rig.tree());
    armed = true;
    expect_dead(rig, step, text, target.phase);
  }
}

// Tiles that were claimed and not yet run when the fault came are not computed. Those that begin
// while the exception is on its way are slow, so that only a few can: without the check all of them
// would.
TEST_P(SpheresFault, NothingIsComputedAfterwards) {
  std::atomic<int> after{0};
  std::atomic<bool> thrown{false};
  TreeOptions options = with_all();
  options.before_tile = [&](int, const TileClaim& claim) {
    if (thrown) {
      ++after;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    } else if (claim.job == 0) {
      thrown = true;
      throw Fault("early", 1);
    }
  };
  SphereRig rig(GetParam(), options);
  SyntheticStep& step = rig.add({12, 6, 50, 12, true, 22});
  expect_dead(rig, step, "early", 1);
  EXPECT_LE(after, 4 * static_cast<int>(count_workers(GetParam())));
}

// Every worker throws at once: one of them wins, whole.
TEST_P(SpheresFault, EveryTileThrows) {
  TreeOptions options = with_all();
  options.before_tile = [&](int, const TileClaim&) { throw Fault("all of them", 5); };
  SphereRig rig(GetParam(), options);
  SyntheticStep& step = rig.add(shape());
  expect_dead(rig, step, "all of them", 5);
}

TEST_P(SpheresFault, MessageOfEachKindOfSphere) {
  const TreePlan plan = plan_tree(GetParam());
  std::vector<int> spheres = {0, plan.workers.front(), plan.workers.back()};
  for (const SpherePlan& s : plan.spheres) {
    if (s.role == SphereRole::kControl) spheres.push_back(s.id);
  }
  for (int target : spheres) {
    for (int wanted : {1, 5}) {  // the first message of that sphere, a later one
      std::atomic<int> seen{0};
      TreeOptions options = with_all();
      options.before_message = [&](int sphere) {
        if (sphere == target && ++seen == wanted) throw Fault("message", sphere);
      };
      SphereRig rig(GetParam(), options);
      SyntheticStep& step = rig.add(shape());
      expect_dead(rig, step, "message", target);
    }
  }
}

TEST_P(SpheresFault, PrepareWorker) {
  const int workers = static_cast<int>(count_workers(GetParam()));
  for (int target : {0, workers / 2, workers - 1}) {
    TreeOptions options = with_all();
    options.prepare_worker = [&](int worker) {
      if (worker == target) throw Fault("prepare", worker);
    };
    std::atomic<int> unprepared{0};
    options.before_tile = [&](int worker, const TileClaim&) {
      if (worker == target) ++unprepared;
    };
    SphereRig rig(GetParam(), options);
    SyntheticStep& step = rig.add(shape());
    expect_dead(rig, step, "prepare", target);
    EXPECT_EQ(unprepared, 0) << "a worker that is not prepared runs no tile";
  }
}

TEST(SpheresFaultOfTheRoot, WhereItComputes) {
  const Watchdog watchdog("a root with a fault", seconds(100));
  for (const int threads : {1, 3, 64}) {
    for (const bool prepares : {true, false}) {
      TreeOptions options = with_all();
      std::atomic<int> tiles{0};
      const int root = threads == 1 ? 0 : static_cast<int>(count_workers(threads));
      options.prepare_worker = [&](int worker) {
        if (prepares && worker == root) throw Fault("root", threads);
      };
      options.before_tile = [&](int worker, const TileClaim&) {
        EXPECT_EQ(worker, root);
        if (++tiles == 20) throw Fault("root", threads);
      };
      SphereRig rig(threads, options);
      rig.tree().set_active(1);
      expect_dead(rig, rig.add(shape()), "root", threads);
      EXPECT_EQ(tiles, prepares ? 0 : 20) << "none after the fault";
    }
  }
}

TEST_P(SpheresFault, ConductorAtEachCall) {
  enum class Where { kBegin, kMeanwhile, kFirstDone, kLaterDone };
  for (Where where : {Where::kBegin, Where::kMeanwhile, Where::kFirstDone, Where::kLaterDone}) {
    for (int runs_before : {0, 2}) {
      SphereRig rig(GetParam(), with_all());
      SyntheticStep& other = rig.add({3, 2, 4, 3, true, 23});
      SyntheticStep& step = rig.add(shape());
      // Workers are late for the stage that failed when another one ran just before.
      for (int run = 0; run < runs_before; ++run) {
        step.run(rig.tree());
        other.run(rig.tree());
      }
      const auto fail = [] { throw Fault("conductor", 3); };
      int dones = 0;
      if (where == Where::kBegin) step.at_begin = fail;
      if (where == Where::kMeanwhile) step.at_meanwhile = fail;
      if (where >= Where::kFirstDone) {
        step.at_done = [&dones, fail, wanted = where == Where::kFirstDone ? 1 : 6](int) {
          if (++dones == wanted) fail();
        };
      }
      expect_dead(rig, step, "conductor", 3);
    }
  }
}

// When run() has thrown nobody is inside a tile: the caller may free what tiles read.
TEST_P(SpheresFault, NobodyIsInATileAfterwards) {
  for (int round = 0; round < 5; ++round) {
    std::atomic<int> inside{0};
    TreeOptions options = with_all();
    options.before_tile = [&](int, const TileClaim&) {
      ++inside;
      std::this_thread::sleep_for(std::chrono::microseconds(500));
      --inside;
    };
    SphereRig rig(GetParam(), options);
    SyntheticStep& step = rig.add({6, 6, 50, 6, true, 24});
    step.at_meanwhile = [] { throw Fault("meanwhile", 0); };
    EXPECT_THROW(step.run(rig.tree()), Fault);
    EXPECT_EQ(inside, 0);
    rig.destroy_tree();
  }
}

TEST_P(SpheresFault, AnotherTreeGoesOn) {
  SphereRig healthy(GetParam(), with_all());
  SyntheticStep& healthy_step = healthy.add(shape());
  std::atomic<bool> stop{false};
  std::atomic<int> runs{0};
  std::thread other([&] {
    while (!stop) {
      healthy_step.run(healthy.tree());  // checks itself
      ++runs;
    }
  });
  for (int round = 0; round < 10; ++round) {
    TreeOptions options = with_all();
    options.before_tile = [](int, const TileClaim& claim) {
      if (claim.job == 2) throw Fault("beside", 2);
    };
    SphereRig rig(GetParam(), options);
    SyntheticStep& step = rig.add(shape());
    expect_dead(rig, step, "beside", 2);
  }
  const int before = runs;
  while (runs < before + 3) std::this_thread::yield();
  stop = true;
  other.join();
}

INSTANTIATE_TEST_SUITE_P(Threads, SpheresFault, testing::ValuesIn(faulty_threads()),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace cllm
