// Activations that the backward pass computes again take less memory and change no bit.
#include <gtest/gtest.h>

#include <chrono>

#include "engine/memory_plan.h"
#include "packed_text.h"
#include "sanitized.h"
#include "watchdog.h"

namespace cllm {
namespace {

std::string digest_after_steps(const TrainingCase& c, std::int64_t threads, Pass pass) {
  SessionConfig config = session_config(c, threads);
  config.pass = pass;
  Session session(config);
  ModelState& state = session.state();
  start_weights(state);
  StepText text;
  for (int step = 0; step < 4; ++step) {
    draw(c, step, text);
    session.step(step, text.rows());
  }
  return weights_digest(state);
}

TEST(Recompute, KeepsEveryBit) {
  const Watchdog watchdog("recomputing steps", std::chrono::seconds(120));
  std::vector<TrainingCase> cases = training_cases();
  for (const TrainingCase& c : packed_cases()) cases.push_back(c);
  for (const TrainingCase& c : fewer_if_sanitized(cases)) {
    const std::string kept = digest_after_steps(c, 1, Pass::kTraining);
    for (const std::int64_t threads : {1, 14}) {
      EXPECT_EQ(digest_after_steps(c, threads, Pass::kRecomputing), kept)
          << c.name << ", " << threads << " threads";
    }
  }
}

TEST(Recompute, KeepsOneStreamALayer) {
  SessionConfig config = session_config({"Deep", 24, 8, 256, 256, 101, 4, 1}, 1);
  const std::size_t kept = plan_memory(config).activations_and_gradients;
  config.pass = Pass::kRecomputing;
  const std::size_t again = plan_memory(config).activations_and_gradients;
  // 56 C bytes a row and layer are 4 C: 52 C of 1024 rows and 23 layers go.
  EXPECT_GE(kept - again, std::size_t{52} * 256 * 1024 * 23);
}

}  // namespace
}  // namespace cllm
