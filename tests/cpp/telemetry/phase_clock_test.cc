// These tests check that every moment of a run counts for one phase.
#include "telemetry/phase_clock.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace cllm {
namespace {

void wait() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

TEST(PhaseClock, EveryMomentCountsForOnePhase) {
  const std::uint64_t begin = now_ns();
  PhaseClock clock(1'000'000'000);
  wait();
  clock.enter(RunPhase::kTraining);
  wait();
  {
    const PhaseClock::Scope validation(clock, RunPhase::kValidation);
    wait();
    const PhaseClock::Scope saving(clock, RunPhase::kSaving);
    wait();
  }
  wait();
  clock.enter(RunPhase::kSaving);
  const double passed = 1e-9 * static_cast<double>(now_ns() - begin);
  const double starting = clock.seconds(RunPhase::kStarting) - 1;
  const double training = clock.seconds(RunPhase::kTraining);
  const double validation = clock.seconds(RunPhase::kValidation);
  const double saving = clock.seconds(RunPhase::kSaving);
  EXPECT_GE(starting, 0.02);
  EXPECT_GE(training, 0.04) << "before and after the scopes";
  EXPECT_GE(validation, 0.02);
  EXPECT_GE(saving, 0.02);
  EXPECT_LE(starting + training + validation + saving, passed);
  EXPECT_GE(starting + training + validation + saving, passed - 0.01);
}

}  // namespace
}  // namespace cllm
