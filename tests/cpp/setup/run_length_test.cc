// These tests check how long a run is and how much of it is not training, by counting tokens.
#include "setup/run_length.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace cllm {
namespace {

TrainConfig decided(TrainConfig config, std::int64_t train_tokens = 1'000'000) {
  if (config.sequence == 0) config.sequence = 64;
  decide_length(config, train_tokens);
  return config;
}

TrainConfig with_steps(std::int64_t steps) {
  TrainConfig config;
  config.steps = steps;
  return config;
}

/// Returns the evaluations of a run as the loop makes them: at each interval, and at the end.
std::int64_t evaluations(const TrainConfig& c) {
  std::int64_t count = 1;
  for (std::int64_t step = 1; step < c.steps; ++step) count += step % c.eval_every == 0 ? 1 : 0;
  return count;
}

double trained_tokens(const TrainConfig& c) {
  return static_cast<double>(c.steps * c.batch * c.grad_accum * c.sequence);
}

/// The cost of all evaluations as a share of training, if a forward pass costs a third of a step.
double evaluation_share(const TrainConfig& c) {
  const auto tokens = static_cast<double>(evaluations(c) * c.eval_tokens);
  return tokens / 3 / trained_tokens(c);
}

TEST(RunLength, EveryEvaluationTogetherCostsATwentiethAtMost) {
  for (const std::int64_t steps : {200, 201, 777, 2000, 12345, 100'000}) {
    for (const std::int64_t sequence : {1, 16, 64, 100, 256}) {
      for (const std::int64_t every : {-1, 7, 50, 250, 1'000'000}) {
        TrainConfig config = with_steps(steps);
        config.sequence = sequence;
        config.eval_every = every;
        const TrainConfig c = decided(config);
        EXPECT_EQ(c.eval_tokens % sequence, 0) << "whole windows";
        EXPECT_GE(c.eval_tokens, 1024);
        const bool least = c.eval_tokens < 1024 + sequence;
        EXPECT_TRUE(least || evaluation_share(c) <= 0.05) << evaluation_share(c);
        // No window more would have fitted.
        TrainConfig more = c;
        more.eval_tokens += sequence;
        EXPECT_GT(evaluation_share(more), 0.05);
      }
    }
  }
}

TEST(RunLength, TheUsualRunStaysWithinTheShare) {
  const TrainConfig c = decided({});
  EXPECT_EQ(c.steps, 2000);
  EXPECT_EQ(evaluations(c), 8);
  EXPECT_EQ(c.eval_tokens, 28'800);
  EXPECT_LE(evaluation_share(c), 0.05);
}

TEST(RunLength, AShortRunEvaluatesOnEnoughToMeanSomething) {
  EXPECT_EQ(decided(with_steps(1)).eval_tokens, 1024);
  EXPECT_EQ(decided(with_steps(20)).eval_tokens, 1024);
  TrainConfig config = with_steps(1);
  config.sequence = 1000;
  EXPECT_EQ(decided(config).eval_tokens, 2000);
}

TEST(RunLength, WhatIsAskedForStays) {
  TrainConfig config = with_steps(100);
  config.eval_every = 3;
  config.eval_tokens = 0;
  config.save_every = 0;
  config.warmup = 5;
  config.min_learning_rate = 0;
  const TrainConfig c = decided(config);
  EXPECT_EQ(c.eval_every, 3);
  EXPECT_EQ(c.eval_tokens, 0);
  EXPECT_EQ(c.save_every, 0);
  EXPECT_EQ(c.warmup, 5);
  EXPECT_EQ(c.min_learning_rate, 0);
}

TEST(RunLength, EvaluatesAndSavesEightTimesAtMost) {
  for (std::int64_t steps = 1; steps <= 300; ++steps) {
    const TrainConfig c = decided(with_steps(steps));
    EXPECT_LE(evaluations(c), 8) << steps;
    EXPECT_GE(evaluations(c), std::min<std::int64_t>(steps, 5)) << steps;
    EXPECT_EQ(c.save_every, c.eval_every) << steps;
  }
}

TEST(RunLength, SavesAtEvaluationsWhereTheseAreFrequent) {
  const auto saves = [](std::int64_t eval_every) {
    TrainConfig config = with_steps(2000);
    config.eval_every = eval_every;
    return decided(config).save_every;
  };
  EXPECT_EQ(saves(250), 250);
  EXPECT_EQ(saves(100), 300);
  EXPECT_EQ(saves(1), 250);
  EXPECT_EQ(saves(251), 250) << "a crash loses an eighth of the run at most";
  EXPECT_EQ(saves(0), 250);
}

TEST(RunLength, TheRateRisesForHalfOfAShortRun) {
  const auto warmup = [](std::int64_t steps) { return decided(with_steps(steps)).warmup; };
  EXPECT_EQ(warmup(1), 0);
  EXPECT_EQ(warmup(2), 1);
  EXPECT_EQ(warmup(20), 10);
  EXPECT_EQ(warmup(60), 30);
  EXPECT_EQ(warmup(80), 40);
  EXPECT_EQ(warmup(400), 40);
  EXPECT_EQ(warmup(500), 50);
  EXPECT_EQ(warmup(1000), 100);
  EXPECT_EQ(warmup(2000), 100);
  EXPECT_EQ(warmup(1'000'000), 100);
}

TEST(RunLength, AModelThatIsGivenLearnsMoreSlowly) {
  TrainConfig config;
  EXPECT_EQ(decided(config).learning_rate, 1e-3);
  EXPECT_EQ(decided(config).min_learning_rate, 1e-4);
  config.init = "model";
  EXPECT_EQ(decided(config).learning_rate, 1e-4);
  EXPECT_EQ(decided(config).min_learning_rate, 1e-5);
  config.learning_rate = 0.5;
  EXPECT_EQ(decided(config).learning_rate, 0.5);
  config.learning_rate = 0;
  EXPECT_EQ(decided(config).learning_rate, 0);
}

TEST(RunLength, ShortTextsAreReadTwoHundredTimes) {
  EXPECT_EQ(decided({}, 1000).steps, 260);
  EXPECT_EQ(decided({}, 10).steps, 200);
  EXPECT_EQ(decided({}, 1'000'000'000).steps, 2000);
  TrainConfig config;
  config.epochs = 2;
  EXPECT_EQ(decided(config, 769).steps, 3) << "two passes, rounded up";
}

}  // namespace
}  // namespace cllm
