// These tests check learning rates by step, and what AdamW does: correction, decay, clipping,
// frozen tensors.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "cllm/error.h"
#include "cpu/features.h"
#include "model/layout.h"
#include "optim/adamw.h"
#include "optim/schedule.h"

namespace cllm {
namespace {

Schedule schedule(ScheduleKind kind, std::int64_t warmup, std::int64_t steps) {
  return {kind, 1e-2, 1e-3, warmup, steps};
}

TEST(Schedule, RisesLinearlyFromAShareOfThePeak) {
  for (const ScheduleKind kind : {ScheduleKind::kCosine, ScheduleKind::kLinear,
                                  ScheduleKind::kConstant, ScheduleKind::kWsd}) {
    const Schedule s = schedule(kind, 4, 101);
    EXPECT_DOUBLE_EQ(s.at(0), 1e-2 * 1 / 5);
    EXPECT_DOUBLE_EQ(s.at(1), 1e-2 * 2 / 5);
    EXPECT_DOUBLE_EQ(s.at(3), 1e-2 * 4 / 5);
    EXPECT_DOUBLE_EQ(s.at(4), 1e-2);
  }
}

TEST(Schedule, CosineIsHalfAWave) {
  const Schedule s = schedule(ScheduleKind::kCosine, 4, 105);  // 100 steps from peak to floor
  EXPECT_DOUBLE_EQ(s.at(4), 1e-2);
  EXPECT_NEAR(s.at(29), 1e-3 + 9e-3 * 0.5 * (1 + std::sqrt(0.5)), 1e-15);
  EXPECT_NEAR(s.at(54), 5.5e-3, 1e-15);
  EXPECT_NEAR(s.at(79), 1e-3 + 9e-3 * 0.5 * (1 - std::sqrt(0.5)), 1e-15);
  EXPECT_DOUBLE_EQ(s.at(104), 1e-3);
}

TEST(Schedule, LinearIsALine) {
  const Schedule s = schedule(ScheduleKind::kLinear, 4, 105);
  EXPECT_DOUBLE_EQ(s.at(4), 1e-2);
  EXPECT_NEAR(s.at(29), 1e-2 - 9e-3 * 0.25, 1e-15);
  EXPECT_NEAR(s.at(54), 5.5e-3, 1e-15);
  EXPECT_DOUBLE_EQ(s.at(104), 1e-3);
}

TEST(Schedule, ConstantStays) {
  const Schedule s = schedule(ScheduleKind::kConstant, 4, 105);
  for (const std::int64_t step : {4, 54, 104, 1000}) EXPECT_EQ(s.at(step), 1e-2);
}

TEST(Schedule, WsdDecaysOverTheLastFifth) {
  const Schedule s = schedule(ScheduleKind::kWsd, 4, 105);  // decay from step 84 on
  for (const std::int64_t step : {4, 50, 83, 84}) EXPECT_DOUBLE_EQ(s.at(step), 1e-2);
  EXPECT_NEAR(s.at(94), 5.5e-3, 1e-15);
  EXPECT_DOUBLE_EQ(s.at(104), 1e-3);
  const Schedule late = schedule(ScheduleKind::kWsd, 90, 105);  // warmup reaches into the decay
  EXPECT_DOUBLE_EQ(late.at(89), 1e-2 * 90 / 91);
  EXPECT_DOUBLE_EQ(late.at(90), 1e-2);
  EXPECT_DOUBLE_EQ(late.at(104), 1e-3);
}

TEST(Schedule, WsdDecaysInShortRunsToo) {
  for (std::int64_t steps = 1; steps < 10; ++steps) {
    for (std::int64_t warmup = 0; warmup < steps; ++warmup) {
      EXPECT_DOUBLE_EQ(schedule(ScheduleKind::kWsd, warmup, steps).at(steps - 1), 1e-3)
          << steps << " steps, " << warmup << " of them warming up";
    }
  }
}

TEST(Schedule, StaysAtTheFloorBeyondTheEndAndInShortRuns) {
  for (const ScheduleKind kind :
       {ScheduleKind::kCosine, ScheduleKind::kLinear, ScheduleKind::kWsd}) {
    EXPECT_DOUBLE_EQ(schedule(kind, 4, 105).at(105), 1e-3);
    EXPECT_DOUBLE_EQ(schedule(kind, 4, 105).at(1'000'000), 1e-3);
    for (std::int64_t steps = 1; steps < 12; ++steps) {
      for (std::int64_t warmup = 0; warmup < 12; ++warmup) {
        double before = 0;
        for (std::int64_t step = 0; step < steps; ++step) {
          const double rate = schedule(kind, warmup, steps).at(step);
          ASSERT_TRUE(rate >= 1e-3 * (1 - 1e-12) || step < warmup) << steps << " " << warmup;
          ASSERT_LE(rate, 1e-2 * (1 + 1e-12)) << steps << " " << warmup;
          if (step > warmup) {
            ASSERT_LE(rate, before) << steps << " " << warmup;
          }
          before = rate;
        }
      }
    }
  }
}

TEST(Schedule, NamesAreReadAndOthersRefused) {
  EXPECT_EQ(parse_schedule("cosine"), ScheduleKind::kCosine);
  EXPECT_EQ(parse_schedule("linear"), ScheduleKind::kLinear);
  EXPECT_EQ(parse_schedule("constant"), ScheduleKind::kConstant);
  EXPECT_EQ(parse_schedule("wsd"), ScheduleKind::kWsd);
  for (const char* name : {"", "Cosine", "cosine ", "step"}) {
    try {
      parse_schedule(name);
      FAIL() << "'" << name << "' was read";
    } catch (const InputError& error) {
      const std::string what = error.what();
      EXPECT_NE(what.find(std::string("'") + name + "'"), std::string::npos) << what;
      EXPECT_NE(what.find("wsd"), std::string::npos) << what;
    }
  }
}

TEST(ClipScale, BringsTheNormDownToTheLimit) {
  EXPECT_EQ(clip_scale(0.5, 1.0), 1.0);
  EXPECT_EQ(clip_scale(1.0, 1.0), 1.0);
  EXPECT_EQ(clip_scale(1e30, 0.0), 1.0);
  EXPECT_EQ(clip_scale(0.0, 1.0), 1.0);
  EXPECT_DOUBLE_EQ(clip_scale(4.0, 1.0), 1.0 / (4.0 + 1e-6));
  EXPECT_NEAR(4.0 * clip_scale(4.0, 0.25), 0.25, 1e-6);
}

TEST(AdamWArgs, CorrectTheBiasOfYoungMoments) {
  AdamWConfig config;
  config.beta1 = 0.8;
  config.beta2 = 0.75;
  config.epsilon = 1e-6;
  config.weight_decay = 0.3;
  const AdamWArgs first = adamw_args(config, 1, 0.02, 0.5);
  EXPECT_FLOAT_EQ(first.correction1, 5.0f);
  EXPECT_FLOAT_EQ(first.correction2, 4.0f);
  EXPECT_EQ(first.learning_rate, 0.02f);
  EXPECT_EQ(first.gradient_scale, 0.5f);
  EXPECT_EQ(first.beta1, 0.8f);
  EXPECT_EQ(first.beta2, 0.75f);
  EXPECT_EQ(first.epsilon, 1e-6f);
  EXPECT_EQ(first.weight_decay, 0.3f);
  const AdamWArgs third = adamw_args(config, 3, 0.02, 1.0);
  EXPECT_FLOAT_EQ(third.correction1, static_cast<float>(1 / (1 - 0.512)));
  EXPECT_FLOAT_EQ(third.correction2, static_cast<float>(1 / (1 - 0.421875)));
  const AdamWArgs late = adamw_args(config, 1'000'000, 0.02, 1.0);
  EXPECT_EQ(late.correction1, 1.0f);
  EXPECT_EQ(late.correction2, 1.0f);
}

TEST(AdamWArgs, OrdinaryDecaysKeepTheirBits) {
  for (const double beta : {0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999}) {
    AdamWConfig config;
    config.beta1 = config.beta2 = beta;
    for (const std::int64_t t : {1, 2, 1000}) {
      const AdamWArgs args = adamw_args(config, t, 0.01, 1);
      EXPECT_EQ(args.rest1, 1.0f - static_cast<float>(beta)) << beta;
      EXPECT_EQ(args.rest2, 1.0f - static_cast<float>(beta)) << beta;
      const auto want = static_cast<float>(1 / (1 - std::pow(beta, static_cast<double>(t))));
      EXPECT_EQ(args.correction1, want) << beta;
      EXPECT_EQ(args.correction2, want) << beta;
    }
  }
}

// A decay that rounds to 1 in float must still take something of every gradient, and the corrected
// moments of a constant gradient are that gradient and its square.
TEST(AdamWArgs, HoldForDecaysNearOne) {
  for (const KernelTable* table : runnable_kernels()) {
    for (const double beta : {0.99991, 0.999999, 0.99999999, 0.999999999999, 0.9999999999999999}) {
      AdamWConfig config;
      config.beta1 = config.beta2 = beta;
      config.weight_decay = 0;
      std::vector<float> g(19, 0.25f), w(19, 1.0f), m(19, 0.0f), v(19, 0.0f);
      for (int t = 1; t <= 50; ++t) {
        const AdamWArgs args = adamw_args(config, t, 0.01, 1);
        table->adamw(g.size(), args, g.data(), w.data(), m.data(), v.data());
        ASSERT_NEAR(m[0] * args.correction1, 0.25, 1e-3) << beta << ", update " << t;
        ASSERT_NEAR(v[0] * args.correction2, 0.0625, 1e-4) << beta << ", update " << t;
        ASSERT_NEAR(w[0], 1 - 0.01 * t, 1e-3) << beta << ", update " << t;
      }
    }
  }
}

/// Five updates of a whole model in double, from the formulas of the paper: matrices decay, vectors
/// do not, frozen tensors and padding stay.
TEST(AdamWBlocks, MatchTheFormulaInDouble) {
  ModelConfig model;
  model.layers = 1;
  model.heads = 1;
  model.width = 20;
  model.context = 5;
  model.vocabulary = 4000;  // the token embedding has two blocks
  model.bias = false;
  const ParameterLayout layout(model);
  ASSERT_GT(layout.trainables().blocks().size(), layout.tensors().size());
  const auto size = static_cast<std::size_t>(layout.flat_size());
  AdamWConfig config;
  config.epsilon = 1e-4;
  for (const KernelTable* table : runnable_kernels()) {
    std::vector<float> w(size), m(size), v(size), g(size);
    std::vector<double> W(size), M(size), G(size), S(size);
    for (std::size_t i = 0; i < size; ++i) {
      W[i] = w[i] = std::sin(static_cast<float>(i % 1009));
    }
    for (int t = 1; t <= 5; ++t) {
      for (std::size_t i = 0; i < size; ++i) {
        g[i] = std::cos(static_cast<float>(i % 997) + static_cast<float>(t));
        G[i] = 0.5 * double{g[i]};
      }
      AdamW adamw(config);
      float* const state[] = {m.data(), v.data()};
      adamw.begin(t, 0.01, 0.5);
      for (const Block& block : layout.trainables().blocks()) {
        adamw.run(*table, layout.trainables(), block, g.data(), w.data(), state);
      }
      for (const TensorEntry& tensor : layout.tensors()) {
        const bool vector = tensor.shape.size() == 1;
        if (vector && tensor.name.find("bias") != std::string::npos) continue;  // frozen
        for (std::int64_t j = tensor.offset; j < tensor.offset + tensor.size; ++j) {
          const auto i = static_cast<std::size_t>(j);
          M[i] = 0.9 * M[i] + 0.1 * G[i];
          S[i] = 0.99 * S[i] + 0.01 * G[i] * G[i];
          const double update =
              M[i] / (1 - std::pow(0.9, t)) / (std::sqrt(S[i] / (1 - std::pow(0.99, t))) + 1e-4);
          W[i] -= 0.01 * (update + (vector ? 0.0 : 0.1 * W[i]));
        }
      }
    }
    for (std::size_t i = 0; i < size; ++i) {
      ASSERT_NEAR(w[i], W[i], 2e-6) << table->name << ", element " << i;
      ASSERT_NEAR(m[i], M[i], 1e-6) << table->name << ", element " << i;
      ASSERT_NEAR(v[i], S[i], 1e-6) << table->name << ", element " << i;
    }
  }
}

}  // namespace
}  // namespace cllm
