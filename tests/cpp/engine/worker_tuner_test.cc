// `--workers auto` is tested as a pure function of step times: where it settles, how soon, with
// what noise.
#include "engine/worker_tuner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/rng.h"

namespace cllm {
namespace {

using Cost = std::function<double(int workers)>;  // seconds of a step

struct Outcome {
  int workers;
  int steps;
};

/// `disturbed` of a hundred steps take twice as long, every one varies by `noise`.
Outcome settle(int most, const Cost& cost, double noise, int disturbed, std::uint64_t seed) {
  WorkerTuner tuner(most);
  int steps = 0;
  while (!tuner.settled()) {
    EXPECT_GE(tuner.workers(), 1);
    EXPECT_LE(tuner.workers(), most);
    const RandomBlock block =
        random_block(seed, RandomStream::kTest, 0, static_cast<std::uint64_t>(steps));
    const double u = static_cast<double>(random_bits64(block, 0) % 10001) / 10000 - 0.5;
    const bool twice = random_bits64(block, 1) % 100 < static_cast<std::uint64_t>(disturbed);
    tuner.took(cost(tuner.workers()) * (1 + 2 * noise * u) * (twice ? 2 : 1));
    if (++steps > 1000) ADD_FAILURE() << "does not settle";
    if (steps > 1000) break;
  }
  return {tuner.workers(), steps};
}

double fastest(int most, const Cost& cost) {
  double best = cost(1);
  for (int n = 2; n <= most; ++n) best = std::min(best, cost(n));
  return best;
}

/// Work that divides among the workers, and what each of them adds.
Cost shared(double work, double each) {
  return [=](int n) { return work / n + each * n; };
}

TEST(WorkerTuner, OneIsSettledAtOnce) {
  const WorkerTuner tuner(1);
  EXPECT_TRUE(tuner.settled());
  EXPECT_EQ(tuner.workers(), 1);
}

TEST(WorkerTuner, StartsWithAll) {
  EXPECT_EQ(WorkerTuner(51).workers(), 51);
  EXPECT_FALSE(WorkerTuner(51).settled());
}

TEST(WorkerTuner, KeepsAllWhereTheyPay) {
  for (int most : {2, 3, 4, 7, 16, 51, 64, 144}) {
    const Outcome shortly = settle(most, shared(0.01, 0), 0.01, 0, 1);
    EXPECT_EQ(shortly.workers, most);
    EXPECT_LE(shortly.steps, 70);
    const Outcome at_length = settle(most, shared(2.0 * most, 0), 0.01, 0, 1);
    EXPECT_EQ(at_length.workers, most);
    EXPECT_LE(at_length.steps, 12) << "long steps are not to be wasted";
  }
}

TEST(WorkerTuner, SettlesOnOneWhereMoreOnlyDisturb) {
  for (int most : {2, 3, 8, 51, 144}) {
    EXPECT_EQ(settle(most, [](int n) { return 1e-4 * n; }, 0.01, 0, 2).workers, 1) << most;
    EXPECT_EQ(settle(
                  most, [](int) { return 1e-3; }, 0.004, 0, 3)
                  .workers,
              1)
        << "as fast with fewer";
  }
}

TEST(WorkerTuner, FindsTheBestBetween) {
  for (int most : {4, 12, 16, 51, 64, 144}) {
    for (double best : {2.0, 3.0, 5.0, 9.0, 20.0, 40.0}) {
      const Cost cost = shared(1e-3 * best * best, 1e-3);  // fastest at `best` workers
      for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const Outcome found = settle(most, cost, 0.02, 5, seed);
        EXPECT_LE(cost(found.workers), 1.1 * fastest(most, cost))
            << found.workers << " of " << most << ", best " << best << ", seed " << seed;
        EXPECT_LE(found.steps, 100);
      }
    }
  }
}

// The first steps with another number are a thousand times as long: threads move, and another
// program has the core. That must not decide.
TEST(WorkerTuner, ShortStepsAreJudgedByManyOfThem) {
  WorkerTuner tuner(2);
  int last = 2, since = 0;
  while (!tuner.settled()) {
    since = tuner.workers() == last ? since + 1 : 0;
    last = tuner.workers();
    tuner.took(since < 4 ? 9e-3 : last == 1 ? 14e-6 : 25e-6);
  }
  EXPECT_EQ(tuner.workers(), 1);
}

// Somebody else had a core while it looked for the first time.
TEST(WorkerTuner, LooksAgainSoonAndThenSeldom) {
  WorkerTuner tuner(2);
  int step = 0, trial_steps = 0;
  const auto run_to = [&](int last) {
    for (; step < last; ++step) {
      const bool disturbed = step < 50;
      trial_steps += tuner.settled() ? 0 : 1;
      tuner.took(disturbed || tuner.workers() == 1 ? 0.02 : 0.011);
    }
  };
  run_to(50);
  EXPECT_TRUE(tuner.settled());
  EXPECT_EQ(tuner.workers(), 1);
  run_to(400);
  EXPECT_TRUE(tuner.settled());
  EXPECT_EQ(tuner.workers(), 2);
  run_to(100000);
  EXPECT_LE(trial_steps, 600);
}

// Two workers whose cores move apart, so that what they share is slow, and together again, which
// one worker alone does not notice.
TEST(WorkerTuner, FollowsCoresThatMove) {
  for (const double unit : {1e-4, 1e-2, 1.0}) {
    WorkerTuner tuner(2);
    const auto run = [&](int steps, double with_one, double with_two) {
      for (int s = 0; s < steps; ++s) {
        tuner.took(unit * (tuner.workers() == 1 ? with_one : with_two));
      }
      return tuner.workers();
    };
    EXPECT_EQ(run(500, 2.1, 1.9), 2);
    EXPECT_EQ(run(100, 2.1, 4.8), 1) << "soon";
    EXPECT_EQ(run(10000, 2.1, 1.2), 2) << "when it looks again";
  }
}

// Another program takes most of every core, then ends.
TEST(WorkerTuner, BeginsAnewWhenStepsTakePlainlyOtherwise) {
  for (const double factor : {3.0, 1.0 / 3}) {
    WorkerTuner tuner(8);
    const auto run = [&](int steps, double each) {
      int trial_steps = 0;
      for (int s = 0; s < steps; ++s) {
        trial_steps += tuner.settled() ? 0 : 1;
        tuner.took(each * (0.02 / tuner.workers() + 0.001));
      }
      return trial_steps;
    };
    EXPECT_GT(run(100, 1), 0);
    EXPECT_EQ(run(100, 1.1), 0);
    EXPECT_GT(run(100, factor), 0);
    EXPECT_EQ(run(100, factor), 0) << "the times are those of the new choice";
  }
}

TEST(WorkerTuner, SeldomBeginsAnewWhereStepsChangeAllTheTime) {
  WorkerTuner tuner(16);
  int trial_steps = 0;
  for (int step = 0; step < 100000; ++step) {
    trial_steps += tuner.settled() ? 0 : 1;
    tuner.took((0.02 / tuner.workers() + 0.001) * (step / 100 % 2 == 0 ? 1 : 2));
  }
  EXPECT_LE(trial_steps, 1000);
}

// Every second step disturbed by others, whatever the count: it must still end.
TEST(WorkerTuner, EndsInAnyNoise) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    EXPECT_LE(settle(144, shared(0.1, 1e-4), 0.4, 50, seed).steps, 250);
  }
}

}  // namespace
}  // namespace cllm
