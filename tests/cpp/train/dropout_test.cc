// Dropout applies in training only, depends on the sequence and the step, and is right on average.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>

#include "cllm/model.h"
#include "cllm/trainer.h"
#include "data/evaluation_windows.h"
#include "data/token_source.h"
#include "model/initialize.h"
#include "session_fixture.h"
#include "shard_runner.h"
#include "temporary_folder.h"
#include "watchdog.h"

namespace cllm {
namespace {

TrainingCase dropping() {
  const std::vector<TrainingCase> cases = training_cases();
  return *std::find_if(cases.rbegin(), cases.rend(), [](const TrainingCase& c) {
    return c.dropout > 0 && c.family == Family::kGpt2;
  });
}

class DropoutSession : public testing::Test {
 protected:
  static std::unique_ptr<Session> start(const SessionConfig& config) {
    auto session = std::make_unique<Session>(config);
    initialize(config.model, session->state().layout, 7, session->state().parameters.data());
    return session;
  }
  /// A step that changes nothing: its loss.
  double loss(const SessionConfig& config, int step,
              const std::vector<std::int64_t>& sequences = {}) {
    SessionConfig still = config;
    still.schedule = {ScheduleKind::kConstant, 0.0, 0.0, 0, 1};
    if (inputs_.empty()) text_.fill(0, inputs_, targets_);
    return start(still)
        ->step(step, {inputs_.data(), targets_.data()}, nullptr,
               sequences.empty() ? nullptr : sequences.data())
        .loss;
  }

  const Watchdog watchdog_{"dropout in sessions", std::chrono::seconds(250)};
  const TrainingCase case_ = dropping();
  const TextBatches text_{case_};
  std::vector<std::int32_t> inputs_, targets_;
};

TEST_F(DropoutSession, GoesWithSeedAndStep) {
  ASSERT_GT(case_.dropout, 0);
  SessionConfig config = session_config(case_, 3);
  const double first = loss(config, 0);
  EXPECT_EQ(loss(config, 0), first);
  EXPECT_NE(loss(config, 1), first);
  config.seed += 1;
  EXPECT_NE(loss(config, 0), first);
  config.model.dropout = {};
  const double without = loss(config, 0);
  EXPECT_EQ(loss(config, 1), without);
  EXPECT_NE(without, first);
  EXPECT_NEAR(first, without, 0.05 * without) << "a loss of the same size";
}

TEST_F(DropoutSession, EachPlaceCounts) {
  SessionConfig config = session_config(case_, 1);
  config.model.dropout = {};
  const double without = loss(config, 0);
  for (const DropoutRates rates : {DropoutRates{0.2, 0, 0}, {0, 0.2, 0}, {0, 0, 0.2}}) {
    config.model.dropout = rates;
    EXPECT_NE(loss(config, 0), without);
  }
}

// Wherever routing lays a sequence, it drops what it drops: only sums come in another order.
TEST_F(DropoutSession, GoesWithTheSequenceAndNotItsPlace) {
  const SessionConfig config = session_config(case_, 3);
  const double in_order = loss(config, 0);
  const std::int64_t B = case_.batch, T = case_.sequence;
  std::vector<std::int64_t> sequences;
  for (std::int64_t s = B; s-- > 0;) sequences.push_back(s);
  for (std::vector<std::int32_t>* tokens : {&inputs_, &targets_}) {
    std::vector<std::int32_t> moved;
    for (const std::int64_t s : sequences) {
      moved.insert(moved.end(), tokens->begin() + s * T, tokens->begin() + (s + 1) * T);
    }
    *tokens = moved;
  }
  EXPECT_NEAR(loss(config, 0, sequences), in_order, 1e-6 * in_order);
  EXPECT_GT(std::abs(loss(config, 0) - in_order), 1e-5 * in_order) << "other sequences' dropout";
}

TEST_F(DropoutSession, EvaluationKnowsNothingOfIt) {
  const TemporaryFolder folder;
  std::string tokens;
  for (const char c : english().substr(0, 3000)) {
    tokens.push_back(static_cast<char>(static_cast<unsigned char>(c) % case_.vocabulary));
    tokens.push_back('\0');
  }
  const TokenSource source(folder.file("tokens.bin", tokens), case_.vocabulary);
  const EvaluationWindows windows(whole(source), case_.sequence);
  SessionConfig config = session_config(case_, 3);
  const double with = start(config)->evaluate(windows);
  config.model.dropout = {};
  EXPECT_EQ(start(config)->evaluate(windows), with);
}

TEST(DropoutModel, LogitsAndGradientsKnowNothingOfIt) {
  ModelConfig config;
  config.layers = 1;
  config.width = 32;
  const std::vector<std::int32_t> tokens = {5, 2, 60, 7, 1, 9, 30, 4};
  const TokenArray array{tokens.data(), 2, 4};
  std::vector<std::vector<float>> logits, gradients;
  std::vector<double> losses;
  for (const double rate : {0.0, 0.5}) {
    config.dropout = {rate, rate, rate};
    Model model = Model::create(config, 3, true, 2);
    EXPECT_EQ(model.config().dropout.attention, rate);
    logits.emplace_back(tokens.size() * 257);
    model.logits(array, logits.back().data());
    std::vector<std::vector<float>> all;
    std::vector<float*> data;
    for (const Tensor& t : model.parameters()) {
      std::size_t size = 1;
      for (const std::int64_t n : t.shape) size *= static_cast<std::size_t>(n);
      all.emplace_back(size);
      data.push_back(all.back().data());
    }
    losses.push_back(model.loss_and_gradients(array, array, data));
    gradients.push_back(all.front());
  }
  EXPECT_EQ(logits[0], logits[1]);
  EXPECT_EQ(losses[0], losses[1]);
  EXPECT_EQ(gradients[0], gradients[1]);
}

TrainConfig short_run(const TemporaryFolder& folder, const std::string& name) {
  TrainConfig c;
  c.data = folder.file("text.txt", english());
  c.out = folder.path() + "/" + name;
  c.layers = 2;
  c.heads = 2;
  c.width = 24;
  c.sequence = 40;
  c.batch = 30;
  c.steps = 4;
  c.dropout = 0.2;
  c.workers = "2";
  c.activate_all = true;
  return c;
}

std::string trained(const TrainConfig& config) {
  Trainer trainer(config);
  for (std::int64_t s = 0; s < config.steps; ++s) trainer.step();
  return trainer.weights_hash();
}

TEST(DropoutRun, AccumulatedBatchesAreOneBatch) {
  const Watchdog watchdog("dropout and accumulation", std::chrono::seconds(100));
  const TemporaryFolder folder;
  TrainConfig config = short_run(folder, "whole");
  const std::string whole = trained(config);
  config.batch = 10;
  config.grad_accum = 3;
  EXPECT_EQ(trained(config), whole);
  config.recompute = true;
  config.workers = "5";
  EXPECT_EQ(trained(config), whole);
  config.dropout = 0.1;
  EXPECT_NE(trained(config), whole);
}

TEST(DropoutRun, OwnRatesOfAStartAreLeft) {
  const TemporaryFolder folder;
  TrainConfig config = short_run(folder, "first");
  {
    Trainer first(config);
    first.save(folder.path() + "/start");
  }
  EXPECT_EQ(Model::load(folder.path() + "/start").config().dropout.residual, 0.2);
  config.init = folder.path() + "/start";
  config.out = folder.path() + "/second";
  config.dropout = 0;
  EXPECT_FALSE(Trainer(config).model().dropout.any());
  config.dropout = 0.3;
  EXPECT_EQ(Trainer(config).model().dropout.embedding, 0.3);
}

// -- on average ---------------------------------------------------------------------------------

/// What enters the first layer, comes out of its heads and of its attention: the mean over steps of
/// one rate at a time must be what is there without dropout.
TEST(DropoutMean, IsWhatIsThereWithout) {
  constexpr int kTimes = 400;
  ModelConfig config;
  config.layers = 1;
  config.heads = 2;
  config.width = 20;
  config.context = 12;
  config.vocabulary = 31;
  const ParameterLayout layout(config);
  const std::vector<float> parameters = lively_parameters(layout);
  const TokenBatch batch = random_batch(2, 12, 31);
  const auto size = static_cast<std::size_t>(batch.rows() * config.width);
  const auto seen = [&](const ShardRunner& runner, int place) {
    const Workspace& w = runner.workspace;
    const float* const at = place == 0   ? w.layers[0].x
                            : place == 1 ? w.operands<float>().layers[0].attended
                                         : w.layers[0].middle;
    return std::vector<float>(at, at + size);
  };
  for (int place = 0; place < 3; ++place) {
    SCOPED_TRACE(place);
    config.dropout = {};
    ShardRunner plain(config, layout, 2, 12, kernels());
    plain.run(parameters.data(), batch, false, 1.0);
    const std::vector<float> wanted = seen(plain, place);
    (place == 0   ? config.dropout.embedding
     : place == 1 ? config.dropout.attention
                  : config.dropout.residual) = 0.25;
    ShardRunner runner(config, layout, 2, 12, kernels());
    const std::int64_t sequences[] = {0, 1};
    std::vector<double> sum(size), squares(size);
    for (int step = 0; step < kTimes; ++step) {
      const DropoutSource source{21, step, sequences};
      runner.dropout = &source;
      runner.run(parameters.data(), batch, false, 1.0);
      const std::vector<float> values = seen(runner, place);
      for (std::size_t i = 0; i < size; ++i) {
        sum[i] += double{values[i]};
        squares[i] += double{values[i]} * double{values[i]};
      }
    }
    double together = 0, errors = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const double mean = sum[i] / kTimes;
      const double error =
          std::sqrt(std::max(0.0, squares[i] / kTimes - mean * mean) / kTimes) + 1e-6;
      EXPECT_LT(std::abs(mean - double{wanted[i]}), 5 * error) << i;
      together += (mean - double{wanted[i]}) / error;
      errors += 1;
    }
    EXPECT_LT(std::abs(together), 5 * std::sqrt(errors)) << "not off to one side";
  }
}

}  // namespace
}  // namespace cllm
