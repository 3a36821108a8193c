// One answer: the weights after training on real text are the same bits for every number of
// workers, tree, interleaving and delay; and each worker and control takes part.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/sha256.h"
#include "model/initialize.h"
#include "session_fixture.h"

namespace cllm {
namespace {

/// A hash of the weights after `steps` steps of a case on a tree of `threads` spheres.
std::string train(const TrainingCase& c, std::int64_t threads, int steps, bool delays) {
  SessionConfig config = session_config(c, threads);
  std::atomic<std::uint32_t> turn{0};
  const auto delay = [&turn](std::uint32_t salt) {
    // A different short sleep or none each time: the order of events differs from run to run.
    const std::uint32_t x = (turn.fetch_add(1, std::memory_order_relaxed) + salt) * 2654435761u;
    if ((x >> 28) < 3) std::this_thread::sleep_for(std::chrono::microseconds((x >> 20) & 127));
  };
  if (delays) {
    config.tree.before_message = [&](int sphere) { delay(static_cast<std::uint32_t>(sphere)); };
    config.tree.before_tile = [&](int worker, const TileClaim&) {
      delay(static_cast<std::uint32_t>(worker) * 977u);
    };
  }
  Session session(config);
  initialize(config.model, session.state().layout, 7, session.state().parameters.data());
  const TextBatches text(c);
  std::vector<std::int32_t> inputs, targets;
  for (int step = 0; step < steps; ++step) {
    text.fill(step, inputs, targets);
    const StepOutcome out = session.step(step, inputs.data(), targets.data());
    EXPECT_FALSE(out.skipped);
  }
  return weights_digest(session.state());
}

class OneAnswer : public testing::TestWithParam<TrainingCase> {};

TEST_P(OneAnswer, SameBitsOnEveryTree) {
  const TrainingCase& c = GetParam();
  const int steps = 4;
  const std::string expected = train(c, 1, steps, false);
  for (std::int64_t workers : {2, 3, 5, 8, 11, 12, 13, 25}) {
    EXPECT_EQ(train(c, threads_for_workers(workers), steps, false), expected) << workers;
  }
  for (std::int64_t threads : {4, 8, 12, 14, 24, 48, 64}) {
    EXPECT_EQ(train(c, threads, steps, threads % 3 != 0), expected) << threads << " spheres";
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, OneAnswer, testing::ValuesIn(training_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cllm
