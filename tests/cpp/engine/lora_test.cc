// Sessions that train adapters: the weights stay, one answer on every tree, and no more memory than
// the adapters need.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "engine/memory_plan.h"
#include "engine/model_runner.h"
#include "lora_cases.h"
#include "one_answer.h"
#include "sanitized.h"

namespace cllm {
namespace {

class Lora : public testing::TestWithParam<TrainingCase> {};

TEST_P(Lora, SameBitsOnEveryTree) {
  std::vector<std::int64_t> threads;
  for (const std::int64_t workers : {1, 2, 7}) threads.push_back(threads_for_workers(workers));
  threads.push_back(64);
  expect_one_answer(GetParam(), kSanitized ? 4 : 8, threads);
}

TEST_P(Lora, TenStepsLeaveTheWeights) {
  TrainingRun run(GetParam(), 3, false);
  const ModelState& state = run.state();
  const std::vector<float> weights(state.parameters.data(),
                                   state.parameters.data() + state.parameters.size());
  const std::vector<float> adapters = trained_weights(state);
  run.train(10);
  EXPECT_EQ(std::memcmp(weights.data(), state.parameters.data(), state.parameters.bytes()), 0);
  const std::vector<float> after = trained_weights(state);
  for (const TensorEntry& t : state.layout.trainables().tensors()) {
    std::int64_t same = 0;
    for (std::int64_t i = t.offset; i < t.offset + t.size; ++i) {
      same += after[static_cast<std::size_t>(i)] == adapters[static_cast<std::size_t>(i)] ? 1 : 0;
    }
    EXPECT_LT(same, t.size / 20 + 1) << t.name;
  }
}

void train_four_steps(Session& session, const TrainingCase& c) {
  start_weights(session.state());
  StepText text;
  for (int step = 0; step < 4; ++step) {
    draw(c, step, text);
    session.step(step, text.rows());
  }
}

std::string digest_after(const TrainingCase& c, Pass pass, bool pack, std::int64_t threads) {
  SessionConfig config = session_config(c, threads);
  config.pass = pass;
  config.pack_always = pack;
  Session session(config);
  train_four_steps(session, c);
  return digest(session.state());
}

TEST_P(Lora, PackedOrRecomputedTheBitsStay) {
  const std::string wanted = digest_after(GetParam(), Pass::kTraining, false, 1);
  EXPECT_EQ(digest_after(GetParam(), Pass::kTraining, true, 14), wanted);
  EXPECT_EQ(digest_after(GetParam(), Pass::kRecomputing, false, 14), wanted);
  EXPECT_EQ(digest_after(GetParam(), Pass::kRecomputing, true, 1), wanted);
}

// A model that is only run has its adapters too, and gives what merged weights give.
TEST_P(Lora, MergedWeightsGiveTheSameLogits) {
  const TrainingCase& c = GetParam();
  if (c.precision == Precision::kBf16) GTEST_SKIP() << "a runner multiplies floats";
  TrainingRun run(c, 3, false);
  run.train(10);
  const ModelState& trained = run.state();
  ModelConfig model = trained.config;
  model.dropout = {};
  ModelState adapted(model, 0, Precision::kFp32, false, c.lora), merged(model);
  for (ModelState* state : {&adapted, &merged}) {
    std::copy_n(trained.parameters.data(), trained.parameters.size(), state->parameters.data());
  }
  std::copy_n(trained.adapters.data(), trained.adapters.size(), adapted.adapters.data());
  merge_adapters(trained.layout, trained.adapters.data(), merged.parameters.data());
  std::vector<std::int32_t> inputs, targets;
  TextBatches(c).fill(3, inputs, targets);
  const TokenArray tokens{inputs.data(), c.batch, c.sequence};
  const auto logits = [&](ModelState& state) {
    std::vector<float> all(inputs.size() * static_cast<std::size_t>(c.vocabulary));
    ModelRunner(state, 2).logits(tokens, all.data());
    return all;
  };
  const std::vector<float> of_adapted = logits(adapted), of_merged = logits(merged);
  std::copy_n(trained.parameters.data(), trained.parameters.size(), merged.parameters.data());
  start_weights(merged);  // as the run started
  const std::vector<float> of_weights = logits(merged);
  float worst = 0, change = 0, largest = 0;
  for (std::size_t i = 0; i < of_merged.size(); ++i) {
    worst = std::max(worst, std::abs(of_adapted[i] - of_merged[i]));
    change = std::max(change, std::abs(of_weights[i] - of_merged[i]));
    largest = std::max(largest, std::abs(of_merged[i]));
  }
  EXPECT_LE(worst, 1e-5f * largest);
  EXPECT_GT(change, 100 * worst);
}

INSTANTIATE_TEST_SUITE_P(Shapes, Lora, testing::ValuesIn(fewer_if_sanitized(lora_cases())),
                         [](const auto& test) { return test.param.name; });

// Nobody may write to frozen weights after a step: here that shows that they are packed once.
TEST(LoraPacking, HappensOnce) {
  const TrainingCase c = lora_cases()[0];
  SessionConfig config = session_config(c, 3);
  config.pack_always = true;
  std::string digests[2];
  for (const bool changed : {false, true}) {
    Session session(config);
    ModelState& state = session.state();
    start_weights(state);
    const TextBatches text(c);
    std::vector<std::int32_t> inputs, targets;
    for (int step = 0; step < 3; ++step) {
      text.fill(step, inputs, targets);
      session.step(step, {inputs.data(), targets.data()});
      const Linear& output = state.layout.layer(0).linear(LinearSite::kOutput);
      if (changed) std::fill_n(state.parameters.data() + output.weight, output.size(), 1.0f);
    }
    digests[changed ? 1 : 0] = digest(state);
  }
  EXPECT_EQ(digests[0], digests[1]);
}

/// The adapters after four steps with a product library.
std::vector<float> adapters_by(GemmBackend backend, const TrainingCase& c, std::int64_t threads) {
  SessionConfig config = session_config(c, threads);
  config.gemm = backend;
  Session session(config);
  train_four_steps(session, c);
  return trained_weights(session.state());
}

TEST(LoraProducts, OfAnotherLibraryGiveNearlyTheSame) {
  if (!gemm_backend_available(GemmBackend::kOneDnn)) GTEST_SKIP() << "no oneDNN here";
  TrainingCase c = lora_cases()[4];
  for (const std::int64_t rank : {1, 5}) {
    c.lora->rank = rank;
    const std::vector<float> native = adapters_by(GemmBackend::kNative, c, 3);
    const std::vector<float> one = adapters_by(GemmBackend::kOneDnn, c, 1);
    EXPECT_EQ(adapters_by(GemmBackend::kOneDnn, c, 14), one) << "rank " << rank;
    double errors = 0, squares = 0;
    for (std::size_t i = 0; i < one.size(); ++i) {
      const double error = double{one[i]} - double{native[i]};
      errors += error * error;
      squares += double{native[i]} * double{native[i]};
    }
    EXPECT_LT(std::sqrt(errors), 0.02 * std::sqrt(squares)) << "rank " << rank;
  }
}

TEST(LoraMemory, HasNoGradientsOfFrozenWeights) {
  SessionConfig config = session_config({"Large", 4, 4, 128, 64, 5000, 8, 1}, 1);
  const ParameterLayout full = layout_of(config);
  const MemoryPlan whole = plan_memory(config);
  config.lora = lora_of(4);
  const ParameterLayout layout = layout_of(config);
  const MemoryPlan few = plan_memory(config);
  const auto bytes = [](const TensorTable& table) {
    return static_cast<std::size_t>(table.flat_size()) * sizeof(float);
  };
  EXPECT_EQ(few.parameters, whole.parameters + bytes(layout.trainables()));
  EXPECT_EQ(few.moments, 2 * bytes(layout.trainables()));
  EXPECT_LT(few.activations_and_gradients,
            whole.activations_and_gradients - bytes(full.trainables()) / 2);
  const Session session(config);
  for (const AlignedBuffer<float>& moment : session.state().optimizer_state) {
    EXPECT_EQ(moment.bytes(), bytes(layout.trainables()));
  }
}

}  // namespace
}  // namespace cllm
