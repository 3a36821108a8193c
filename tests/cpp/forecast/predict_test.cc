// Forecasts of a step are tested: times between measured ones, all of a step's products, schedules,
// messages.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "cllm/bench.h"
#include "cllm/error.h"
#include "forecast/predict_step.h"
#include "forecast/shard_costs.h"
#include "has.h"
#include "lattice/coupling.h"
#include "machine/kernel_grids.h"
#include "model/tile_calls.h"

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
  const KernelClock clock(rates, "some.json");
  EXPECT_GT(clock.nanoseconds("gemm_nt", {64, 64, 64, 5000}), 0);
  try {
    clock.nanoseconds("gemm_nn", {64, 64, 64, 5000});
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

/// Makes the model one of another family, or a variant of GPT-2.
SessionConfig of_family(SessionConfig c, Family family) {
  c.model.family = family;
  c.model.kv_heads = family == Family::kGpt2 ? 0 : 1;
  c.model.head_dim = family == Family::kQwen3 ? 48 : 0;
  c.model.hidden_dim = 150;
  c.model.tied_head = false;
  if (family == Family::kGpt2) c.model.activation_kind = Activation::kGelu;
  return c;
}

// Forward, gradient of inputs, gradient of weights: three products for every parameter that
// multiplies, at every token; whichever way the step is cut.
TEST(PredictStep, HoldsEveryProductOfTheStep) {
  for (const SessionConfig& c : {config_of(1, 32, 70, 5, 16), config_of(2, 160, 70, 30, 100),
                                 config_of(3, 192, 5000, 9, 300), config_of(14, 64, 40000, 3, 700),
                                 of_family(config_of(2, 160, 70, 30, 100), Family::kGpt2),
                                 of_family(config_of(3, 192, 500, 9, 300), Family::kLlama),
                                 of_family(config_of(1, 32, 70, 5, 16), Family::kQwen3)}) {
    const auto& m = c.model;
    const std::int64_t layer =
        m.width * (m.qkv_width() + m.query_width() + (m.is_gpt2() ? 2 : 3) * m.hidden());
    const double parameters = static_cast<double>(m.vocabulary * m.width + m.layers * layer);
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

SessionConfig with_dropout(SessionConfig c, const DropoutRates& rates) {
  c.model.dropout = rates;
  return c;
}

bool of_dropout(const std::string& kernel) { return has(kernel, "dropout"); }

MachineRates without_dropout(MachineRates rates) {
  const auto drops = [](const KernelTime& t) { return of_dropout(t.kernel); };
  rates.times.erase(std::remove_if(rates.times.begin(), rates.times.end(), drops),
                    rates.times.end());
  return rates;
}

// If all kernels have one rate, dropout adds a pass over the embeddings and one over their
// gradient. Everywhere else a kernel that drops takes the place of one that does not.
TEST(PredictStep, HoldsThePassesOfDropout) {
  for (const SessionConfig& c : {config_of(1, 32, 70, 5, 16), config_of(2, 160, 70, 30, 100),
                                 config_of(3, 192, 500, 9, 300), config_of(2, 64, 70, 3, 50)}) {
    for (Precision precision : {Precision::kFp32, Precision::kBf16}) {
      SessionConfig plain = c;
      plain.precision = precision;
      const double elements = static_cast<double>(c.batch * c.sequence * c.model.width);
      const StepForecast before = predict_step(plain, without_dropout(even_rates(1)), "");
      const StepForecast all =
          predict_step(with_dropout(plain, {0.1, 0.1, 0.1}), even_rates(1), "");
      EXPECT_GT(all.milliseconds, before.milliseconds);
      EXPECT_NEAR(all.pass_ms - before.pass_ms, 2e-6 * elements, 1e-9 * elements);
      EXPECT_NEAR(all.product_ms, before.product_ms, 1e-9 * before.product_ms);
      MachineRates slow = even_rates(1);
      for (KernelTime& t : slow.times) t.nanoseconds *= of_dropout(t.kernel) ? 3 : 1;
      for (const DropoutRates& one :
           {DropoutRates{0.1, 0, 0}, DropoutRates{0, 0.1, 0}, DropoutRates{0, 0, 0.1}}) {
        EXPECT_GT(predict_step(with_dropout(plain, one), slow, "").pass_ms,
                  before.pass_ms + 3e-6 * elements);
      }
    }
  }
}

// E' takes one sum over V links for each token, its gradient two; the norm and the update of the
// coefficients are nothing beside them.
TEST(PredictStep, HoldsTheLinksOfTheLattice) {
  for (const int order : {1, 5, 12}) {
    for (const std::int64_t workers : {1, 3, 14}) {
      SessionConfig plain = config_of(workers, 128, 3000, 48, 64);
      plain.model.symmetry_order = order;
      SessionConfig coupled = plain;
      coupled.lattice = true;
      const StepForecast before = predict_step(plain, even_rates(1), "");
      const StepForecast after = predict_step(coupled, even_rates(1), "");
      const double links = 1e-6 * 3 * order * 3000 * 128;  // at a nanosecond each
      EXPECT_NEAR(after.pass_ms - before.pass_ms, links, 0.02 * links + 0.01);
      EXPECT_DOUBLE_EQ(after.product_ms, before.product_ms);
      EXPECT_GE(after.tiles, before.tiles + 2 * Coupling::tiles_for(3000, 128));
      EXPECT_GT(after.milliseconds, before.milliseconds);
    }
  }
}

// A step finds those packed that no step changes.
TEST(PredictStep, PacksWhatIsTrained) {
  const auto packing_ms = [](const std::optional<LoraConfig>& lora) {
    SessionConfig plain = config_of(1, 64, 70, 3, 40);
    plain.lora = lora;
    SessionConfig packed = plain;
    packed.pack_always = true;
    return predict_step(packed, even_rates(1), "").pass_ms -
           predict_step(plain, even_rates(1), "").pass_ms;
  };
  LoraConfig with_head;
  with_head.modules_to_save = {kEmbeddings};
  const double all = packing_ms(std::nullopt), head = packing_ms(with_head);
  EXPECT_GT(all, 1e-6 * 2 * 64 * 70);
  EXPECT_NEAR(packing_ms(LoraConfig()), 0, 1e-3 * all);
  EXPECT_GT(head, 0.01 * all);
  EXPECT_LT(head, 0.5 * all);
}

TEST(PredictStep, MeasurementsWithoutDropoutServeModelsWithout) {
  const SessionConfig c = config_of(1, 32, 70, 5, 16);
  const MachineRates old = without_dropout(even_rates(1));
  EXPECT_GT(predict_step(c, old, "").milliseconds, 0);
  try {
    predict_step(with_dropout(c, {0, 0, 0.1}), old, "some.json");
    FAIL() << "nothing was thrown";
  } catch (const InputError& error) {
    for (const char* part : {"some.json", "dropout", "cllm bench --machine-only"}) {
      EXPECT_TRUE(has(error.what(), part)) << error.what();
    }
  }
}

// So a measurement of before the kernels of other families is still good for GPT-2.
TEST(PredictStep, MeasurementsServeModelsThatNeedNoKernelAddedSince) {
  MachineRates old = even_rates(1);
  const auto added = [](const KernelTime& t) {
    for (const char* kernel : {"rmsnorm", "rotary", "swiglu", "bias_gelu_erf", "bias_relu"}) {
      if (has(t.kernel, kernel)) return true;
    }
    return false;
  };
  old.times.erase(std::remove_if(old.times.begin(), old.times.end(), added), old.times.end());
  EXPECT_LT(old.times.size(), even_rates(1).times.size());
  for (Precision precision : {Precision::kFp32, Precision::kBf16}) {
    SessionConfig c = with_dropout(config_of(2, 160, 70, 30, 100), {0.1, 0.1, 0.1});
    c.precision = precision;
    EXPECT_DOUBLE_EQ(predict_step(c, old, "").milliseconds,
                     predict_step(c, even_rates(1), "").milliseconds);
  }
  const KernelClock clock(old, "some.json");
  EXPECT_THROW(clock.nanoseconds("bf16_swiglu", {64, 64, 5000}), InputError);
}

/// Collects the measured names of what tiles call, and checks the number of their sizes.
class MeasuredNames final : public CallListener {
 public:
  explicit MeasuredNames(Precision precision)
      : prefix_(precision == Precision::kBf16 ? "bf16_" : "") {}
  void product(GemmForm, bool, std::int64_t, std::int64_t, std::int64_t) override {}
  void pass(const char* kernel, bool stored, std::int64_t, std::int64_t) override {
    add((stored ? prefix_ : "") + kernel, 3);
  }
  void add(std::int64_t, std::int64_t) override { add("add", 2); }
  void attention(const char* kernel, double) override { add(prefix_ + kernel, 2); }

  std::set<std::string> names, dropping;

 private:
  void add(const std::string& name, std::size_t sizes) {
    if (!names.insert(name).second) return;
    const KernelGrid& grid = kernel_grid(name);  // throws where there is none
    EXPECT_EQ(grid.axes.size(), sizes) << name;
    if (of_dropout(name)) dropping.insert(name);
  }
  const std::string prefix_;
};

TEST(TileCalls, AreMeasured) {
  for (Precision precision : {Precision::kFp32, Precision::kBf16}) {
    for (bool drops : {false, true}) {
      MeasuredNames calls(precision);
      for (const SessionConfig& c :
           {config_of(1, 32, 70, 5, 16), config_of(1, 192, 5000, 9, 300),
            config_of(1, 64, 40000, 3, 700), of_family(config_of(1, 32, 70, 5, 16), Family::kGpt2),
            of_family(config_of(1, 192, 70, 9, 300), Family::kLlama),
            of_family(config_of(1, 64, 70, 9, 30), Family::kQwen2),
            of_family(config_of(1, 64, 70, 9, 30), Family::kQwen3)}) {
        ModelConfig model = c.model;
        if (drops) model.dropout = {0.1, 0.1, 0.1};
        LoraConfig lora;
        lora.dropout = drops ? 0.1 : 0;
        const ParameterLayout whole(model), adapted(model, false, lora);
        for (const ParameterLayout* layout : {&whole, &adapted}) {
          for (Pass pass : {Pass::kTraining, Pass::kRecomputing}) {
            const ShardProgram program(model, *layout, {c.batch, c.sequence}, pass,
                                       WeightLayout::kPacked);
            for (const Phase& phase : program.phases()) {
              for (std::int32_t t = 0; t < phase.tiles; ++t) {
                list_calls(program.cuts(), phase, t, calls);
              }
            }
          }
        }
      }
      EXPECT_GE(calls.names.size(), 12u);
      for (const char* name : {"rmsnorm_forward", "rmsnorm_backward", "rotary_forward",
                               "rotary_backward", "swiglu", "swiglu_backward", "bias_gelu_erf"}) {
        const std::string prefix = precision == Precision::kBf16 ? "bf16_" : "";
        EXPECT_EQ(calls.names.count(prefix + name), 1u) << name;
      }
      std::set<std::string> wanted;  // all of dropout's, in the way that they are stored
      for (const KernelGrid& grid : kernel_grids(precision)) {
        if (drops && of_dropout(grid.name)) wanted.insert(grid.name);
      }
      if (precision == Precision::kBf16 && drops) {
        wanted.insert({"dropout_rows", "bias_dropout_residual"});  // the residual stream is float
      }
      EXPECT_EQ(calls.dropping, wanted);
    }
  }
}

TEST(PredictStep, CountsMessagesAsTheStepSendsThem) {
  const SessionConfig c = config_of(1, 32, 70, 40, 64);
  StepBench bench;
  bench.model = c.model;
  bench.batch = c.batch;
  bench.workers = 1;
  bench.steps = 2;
  bench.lattice = true;
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
