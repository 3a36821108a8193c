// These tests check what is said during the steps: a choice of workers once, and late steps when
// they are many.
#include "engine/step_news.h"

#include <gtest/gtest.h>

#include <functional>

namespace cllm {
namespace {

/// How often a run of `steps` tells its choice; `seconds` by workers and step.
int told(int most, int steps, const std::function<double(int workers, int step)>& seconds) {
  WorkerTuner tuner(most);
  ChoiceNews news;
  int count = 0;
  for (int step = 0; step < steps; ++step) {
    tuner.took(seconds(tuner.workers(), step));
    count += news.is_due(tuner, most) ? 1 : 0;
  }
  return count;
}

TEST(ChoiceNews, ThatAllComputeIsNoNews) {
  EXPECT_EQ(told(1, 1000, [](int, int) { return 0.01; }), 0);
  EXPECT_EQ(told(8, 100000, [](int n, int) { return 0.01 / n; }), 0);
}

TEST(ChoiceNews, FewerWorkersAreToldOnce) {
  EXPECT_EQ(told(8, 100000, [](int n, int) { return 0.01 * n; }), 1);
}

// One worker and two are equally fast, but for noise: the choice goes to and fro.
TEST(ChoiceNews, ChoicesWithinTheNoiseAreToldOnce) {
  const auto noisy = [](int n, int step) {
    const int phase = step / 97 % 4;
    return 0.002 * (n == 1 ? 1.0 : 0.9 + 0.06 * phase) * (1 + 0.01 * (step % 3));
  };
  WorkerTuner tuner(2);
  int changes = 0, before = 0;
  for (int step = 0; step < 20000; ++step) {
    tuner.took(noisy(tuner.workers(), step));
    if (!tuner.settled() || tuner.workers() == before) continue;
    ++changes;
    before = tuner.workers();
  }
  ASSERT_GE(changes, 4) << "otherwise this tests nothing";
  EXPECT_EQ(told(2, 20000, noisy), 1);
}

TEST(LateSteps, AreSaidWhenTheyAreMany) {
  EXPECT_EQ(late_steps_note(0, 0), "");
  EXPECT_EQ(late_steps_note(1, 3), "");
  EXPECT_EQ(late_steps_note(19, 19), "");
  EXPECT_EQ(late_steps_note(100, 2000), "");
  EXPECT_EQ(late_steps_note(101, 2000), "the workers waited for data in 101 of 2000 steps");
  EXPECT_EQ(late_steps_note(20, 20), "the workers waited for data in 20 of 20 steps");
}

}  // namespace
}  // namespace cllm
