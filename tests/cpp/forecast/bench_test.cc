// These tests check what is kept of a machine that was measured, and timed steps.
#include "cllm/bench.h"

#include <gtest/gtest.h>

#include "cllm/error.h"
#include "cllm/machine.h"
#include "cpu/affinity.h"
#include "cpu/features.h"
#include "few_threads.h"
#include "has.h"
#include "machine/core_round_trip.h"

namespace cllm {
namespace {

Machine small_machine() {
  MachineRates rates{
      1, 10, 20, 3, {{"adamw", {5, 6}, 7.5, 28}, {"gemm_nn", {1, 2, 3, 4}, 9, 88, 12}}};
  MachineRates two = rates;
  two.workers = 2;
  return {"a \"CPU\"", "avx512", "native", {rates, two}};
}

TEST(MachineJson, ComesBackAsItWas) {
  const std::string json = machine_json(small_machine());
  const Machine back = parse_machine(json, "here");
  EXPECT_EQ(back.cpu, "a \"CPU\"");
  ASSERT_EQ(back.rates.size(), 2u);
  EXPECT_EQ(back.rates[1].workers, 2);
  ASSERT_EQ(back.rates[0].times.size(), 2u);
  EXPECT_EQ(back.rates[0].times[0].sizes, (std::vector<std::int64_t>{5, 6}));
  EXPECT_EQ(back.rates[0].times[0].bytes_moved, 28);
  EXPECT_EQ(back.rates[0].times[0].operations, 0);
  EXPECT_EQ(back.rates[1].times[1].operations, 12);
  EXPECT_EQ(machine_json(back), json);
}

TEST(MachineJson, OfEarlierVersionsHoldsTimesAlone) {
  const Machine old = parse_machine(
      R"({"cpu": "c", "kernels": "k", "gemm": "g", "rates": [{"workers": 1, "gemm_gflops": 2,
          "copy_gbs": 3, "wake_us": 4, "nanoseconds": {"adamw": [[[16384, 384], 5.5]]}}]})",
      "here");
  const KernelTime& time = old.rates.at(0).times.at(0);
  EXPECT_EQ(time.sizes, (std::vector<std::int64_t>{16384, 384}));
  EXPECT_EQ(time.nanoseconds, 5.5);
  EXPECT_EQ(time.bytes_moved, 0);
  EXPECT_EQ(time.operations, 0);
}

TEST(MachineJson, FaultsNameThePlace) {
  std::vector<Machine> bad(5, small_machine());
  bad[0].rates.clear();
  bad[1].rates[1].workers = 1;
  bad[2].rates[0].gemm_gflops = 0;
  bad[3].rates[0].times[0].nanoseconds = -1;
  bad[4].rates[0].times[0].bytes_moved = -1;
  for (const Machine& machine : bad) {
    try {
      parse_machine(machine_json(machine), "some.json");
      FAIL() << "nothing was thrown";
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("some.json"), std::string::npos);
    }
  }
}

StepBench small_bench() {
  StepBench bench;
  bench.model = {1, 2, 16, 8, 40, true, 12};
  bench.batch = 4;
  bench.steps = 3;
  bench.workers = 1;
  return bench;
}

TEST(CoreRoundTrip, IsKnownOfTwoCpusThatThreadsMayUse) {
  const std::vector<int> cpus = thread_cpus();
  EXPECT_EQ(core_round_trip_ns(cpus[0], cpus[0]), 0);
  EXPECT_EQ(core_round_trip_ns(cpus[0], 1 << 20), 0) << "there is no such CPU";
  EXPECT_EQ(core_round_trip_ns(1 << 20, cpus[0]), 0);
  if (cpus.size() > 1) {
    EXPECT_GT(core_round_trip_ns(cpus[0], cpus[1]), 1);
  }
  EXPECT_EQ(thread_cpus(), cpus) << "the caller is where it was";
}

TEST(MeasureStep, TimesSoManySteps) {
  const StepTimes times = measure_step(small_bench());
  EXPECT_EQ(times.steps, 3);
  EXPECT_EQ(times.workers, 1);
  EXPECT_GT(times.least, 0);
  EXPECT_LE(times.least, times.milliseconds);
  EXPECT_LE(times.milliseconds, times.most);
  EXPECT_NEAR(times.tokens_per_second * times.milliseconds, 1e3 * 4 * 8, 1e-6 * 1e3 * 4 * 8);
  EXPECT_NEAR(times.mfu * times.peak_gflops, times.gflops, 1e-9 * times.gflops);
}

TEST(MeasureMachine, SaysHowManyThreadsThereAre) {
  const std::string said =
      said_with_few_threads([] { measure_machine({14}, "native"); }, [](std::int64_t) {});
  if (said.empty()) GTEST_SKIP() << "no limit for this user";
  for (const char* part : {"the system gives no more threads (", "): got ",
                           ", expected 14 (--workers ", " works; ", ") and it does"}) {
    EXPECT_TRUE(has(said, part)) << part << " in " << said;
  }
}

TEST(MeasureStep, RefusesWhatCannotBe) {
  for (auto change :
       {+[](StepBench& b) { b.batch = 0; }, +[](StepBench& b) { b.sequence = 9; },
        +[](StepBench& b) { b.workers = -1; }, +[](StepBench& b) { b.gemm = "x"; },
        +[](StepBench& b) { b.model.heads = 3; }, +[](StepBench& b) { b.positions = 5; }}) {
    StepBench bench = small_bench();
    change(bench);
    EXPECT_THROW(measure_step(bench), InputError);
  }
}

}  // namespace
}  // namespace cllm
