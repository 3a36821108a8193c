// Forecasts of a step are tested: times between measured ones, all of a step's products, schedules,
// messages.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "cllm/bench.h"
#include "cllm/error.h"
#include "forecast/predict_step.h"
#include "forecast/shard_costs.h"
#include "machine/kernel_grids.h"

namespace cllm {
namespace {

/// Every kernel takes `ns` for a unit of its work, at every size of its grid.
MachineRates even_rates(double ns, std::int64_t workers = 1) {
  MachineRates rates{workers, 1, 1, 1, {}};
  std::vector<KernelGrid> grids = kernel_grids();
  for (const KernelGrid& grid : kernel_grids(Precision::kBf16)) grids.push_back(grid);
  for (const KernelGrid& grid : grids) {
    std::vector<std::vector<std::int64_t>> all = {{}};
    for (const auto& axis : grid.axes) {
      std::vector<std::vector<std::int64_t>> longer;
      for (const auto& sizes : all) {
        for (std::int64_t s : axis) {
          longer.push_back(sizes);
          longer.back().push_back(s);
        }
      }
      all = longer;
    }
    for (const auto& sizes : all) rates.times.push_back({grid.name, sizes, ns * grid.work(sizes)});
  }
  return rates;
}

TEST(KernelClock, IsExactWhereMeasuredAndBetween) {
  MachineRates rates = even_rates(2);
  const KernelClock even(rates, "");
  EXPECT_NEAR(even.nanoseconds("gemm_nn", {100, 50, 300, 5000}), 2.0 * 100 * 50 * 300, 1e-3);
  EXPECT_NEAR(even.nanoseconds("attention_forward", {9999, 1}), 2.0 * 9999 * 9999, 1);
  // From 1 ns an element in the smallest range to 4 in the next: 2 half way between, on a scale of
  // powers, and 1 below the ends.
  const auto& axes = kernel_grid("adamw").axes;
  const std::int64_t n = axes[0][0], low = axes[1][0], high = axes[1][1];
  for (KernelTime& t : rates.times) {
    if (t.kernel == "adamw") {
      t.nanoseconds = static_cast<double>(t.sizes[0]) * (t.sizes[1] == low ? 1 : 4);
    }
  }
  const KernelClock clock(rates, "");
  EXPECT_NEAR(clock.nanoseconds("adamw", {n, low}), static_cast<double>(n), 1e-6);
  EXPECT_NEAR(clock.nanoseconds("adamw", {n, high}), 4 * static_cast<double>(n), 1e-6);
  const auto between = static_cast<std::int64_t>(std::llround(std::sqrt(low * high)));
  EXPECT_NEAR(clock.nanoseconds("adamw", {n, between}) / static_cast<double>(n), 2, 1e-3);
  EXPECT_NEAR(clock.nanoseconds("adamw", {n, 1}), static_cast<double>(n), 1e-6);
}

TEST(KernelClock, MissingTimesAreAnError) {
  MachineRates rates = even_rates(1);
  rates.times.erase(rates.times.begin() + 3);
  try {
    const KernelClock clock(rates, "some.json");
    FAIL() << "nothing was thrown";
  } catch (const InputError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("some.json"), std::string::npos);
    EXPECT_NE(text.find("gemm_nn"), std::string::npos);
  }
}

TEST(RatesFor, AreBetweenThoseMeasured) {
  const Machine machine{"", "", "", {even_rates(1, 1), even_rates(3, 5)}};
  EXPECT_DOUBLE_EQ(rates_for(machine, 1).times[7].nanoseconds,
                   machine.rates[0].times[7].nanoseconds);
  EXPECT_DOUBLE_EQ(rates_for(machine, 3).times[7].nanoseconds,
                   2 * machine.rates[0].times[7].nanoseconds);
  EXPECT_DOUBLE_EQ(rates_for(machine, 50).times[7].nanoseconds,
                   3 * machine.rates[0].times[7].nanoseconds);
}

SessionConfig config_of(std::int64_t workers, std::int64_t width, std::int64_t vocabulary,
                        std::int64_t batch, std::int64_t sequence) {
  SessionConfig c;
  c.model = {3, 2, width, sequence, vocabulary, true, 12};
  c.batch = batch;
  c.sequence = sequence;
  c.threads = threads_for_workers(workers);
  c.tree.activate_all = true;
  return c;
}

// Forward, gradient of inputs, gradient of weights: three products for every parameter that
// multiplies, at every token; whichever way the step is cut.
TEST(PredictStep, HoldsEveryProductOfTheStep) {
  for (const SessionConfig& c :
       {config_of(1, 32, 70, 5, 16), config_of(2, 160, 70, 30, 100),
        config_of(3, 192, 5000, 9, 300), config_of(14, 64, 40000, 3, 700)}) {
    const auto& m = c.model;
    const double parameters =
        static_cast<double>(m.vocabulary * m.width + m.layers * 12 * m.width * m.width);
    const double products = 3 * parameters * static_cast<double>(c.batch * c.sequence);
    for (Precision precision : {Precision::kFp32, Precision::kBf16}) {
      SessionConfig config = c;
      config.precision = precision;
      const StepForecast f = predict_step(config, even_rates(0.5), "");
      EXPECT_NEAR(f.product_ms, 1e-6 * 0.5 * products, 1e-9 * products) << m.width;
    }
  }
}

TEST(PredictStep, WorkersShareTheTime) {
  double before = 1e9;
  for (std::int64_t workers : {1, 2, 4, 8}) {
    const StepForecast f = predict_step(config_of(workers, 128, 300, 48, 64), even_rates(1), "");
    EXPECT_EQ(f.workers, workers);
    EXPECT_NEAR(f.product_ms + f.pass_ms + f.waiting_ms,
                f.milliseconds * static_cast<double>(workers), 1e-6 * f.milliseconds);
    EXPECT_GE(f.waiting_ms, 0);
    EXPECT_LT(f.milliseconds, 0.7 * before) << workers;
    before = f.milliseconds;
  }
}

TEST(PredictStep, CountsMessagesAsTheStepSendsThem) {
  const SessionConfig c = config_of(1, 32, 70, 40, 64);
  StepBench bench;
  bench.model = c.model;
  bench.batch = c.batch;
  bench.workers = 1;
  bench.steps = 2;
  const StepForecast f = predict_step(c, even_rates(1), "");
  EXPECT_DOUBLE_EQ(static_cast<double>(f.messages), measure_step(bench).messages);

  SessionConfig of_many = c;  // but for a single core, on which the root computes
  of_many.threads = 64;
  of_many.tree.cores = 1;
  of_many.tree.activate_all = false;
  const StepForecast alone = predict_step(of_many, even_rates(1), "");
  EXPECT_EQ(alone.messages, f.messages);
  EXPECT_DOUBLE_EQ(alone.milliseconds, f.milliseconds);
}

TEST(MeasureStep, PartsAddUpToTheWorkersTime) {
  StepBench bench;
  bench.model = config_of(1, 128, 300, 8, 64).model;
  bench.batch = 8;  // enough rows for packing to be one of them
  bench.workers = 1;
  bench.steps = 2;
  const StepTimes times = measure_step(bench);
  double sum = 0;
  for (const PartTime& part : times.parts) {
    sum += part.milliseconds;
    EXPECT_GT(part.milliseconds, 0) << part.name;
  }
  EXPECT_NEAR(sum, times.parts_milliseconds * static_cast<double>(times.workers), 1e-6 * sum);
}

}  // namespace
}  // namespace cllm
