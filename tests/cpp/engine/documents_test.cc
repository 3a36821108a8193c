// Sessions train on sequences of several documents, with targets that are not counted: one answer
// on every tree, and a step without a target to learn from changes nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/model_runner.h"
#include "one_answer.h"
#include "sanitized.h"

namespace cllm {
namespace {

class PackedSession : public testing::TestWithParam<TrainingCase> {};

TEST_P(PackedSession, SameBitsOnEveryTree) {
  std::vector<std::int64_t> threads;
  for (const std::int64_t workers : {1, 2, 7}) threads.push_back(threads_for_workers(workers));
  threads.push_back(64);
  expect_one_answer(GetParam(), kSanitized ? 4 : 8, threads);
}

INSTANTIATE_TEST_SUITE_P(Shapes, PackedSession,
                         testing::ValuesIn(fewer_if_sanitized(packed_cases())),
                         [](const auto& test) { return test.param.name; });

TEST(StepWithoutTargets, ChangesNothing) {
  for (const TrainingCase& c : {packed_cases()[0], packed_cases()[3]}) {
    const Watchdog watchdog("a step without targets", std::chrono::seconds(60));
    TrainingRun run(c, 4, false);
    run.train(2);
    const std::string before = digest(run.state());
    StepText text;
    draw(c, 2, text);
    std::fill(text.targets.begin(), text.targets.end(), kNotCounted);
    bool meanwhile = false;
    const StepOutcome out = run.session().step(2, text.rows(), [&meanwhile] { meanwhile = true; });
    EXPECT_TRUE(out.skipped);
    EXPECT_FALSE(out.cancelled);
    EXPECT_EQ(out.counted, 0);
    EXPECT_TRUE(std::isnan(out.loss));
    EXPECT_TRUE(meanwhile) << "the next batch is drawn";
    EXPECT_EQ(digest(run.state()), before);
    draw(c, 3, text);
    const StepOutcome next = run.session().step(3, text.rows());
    EXPECT_FALSE(next.skipped);
    EXPECT_EQ(next.counted, std::count_if(text.targets.begin(), text.targets.end(),
                                          [](std::int32_t t) { return t >= 0; }));
    EXPECT_NE(digest(run.state()), before);
  }
}

/// The loss of rows[B, T] and its gradient.
std::pair<double, std::vector<float>> gradient_of(ModelState& state, const StepText& text,
                                                  std::int64_t length) {
  ModelRunner runner(state, 2);
  const auto rows = static_cast<std::int64_t>(text.inputs.size());
  const ModelRunner::Gradient g = runner.gradient(text.rows(), rows / length, length);
  return {g.loss, {g.values, g.values + state.layout.flat_size()}};
}

/// Each document of a packed text in a sequence of its own.
StepText one_by_one(const StepText& packed, std::int64_t length) {
  StepText alone;
  const auto rows = static_cast<std::int64_t>(packed.inputs.size());
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto from = static_cast<std::size_t>(r);
    const std::int64_t position = r % length - packed.first_keys[from];
    if (position == 0) {
      alone.inputs.resize(alone.inputs.size() + static_cast<std::size_t>(length), 0);
      alone.targets.resize(alone.inputs.size(), kNotCounted);
    }
    const std::size_t to = alone.inputs.size() - static_cast<std::size_t>(length - position);
    alone.inputs[to] = packed.inputs[from];
    alone.targets[to] = packed.targets[from];
  }
  return alone;
}

TEST(PackedGradient, IsThatOfTheDocumentsOneByOne) {
  for (const Family family : {Family::kGpt2, Family::kLlama, Family::kQwen2, Family::kQwen3}) {
    TrainingCase c = {"All", 2, 4, 40, 140, 101, 5, 2};
    c.family = family;
    c.kv_heads = family == Family::kGpt2 ? 0 : 2;
    c.packed = true;
    ModelState state(session_config(c, 1).model);
    start_weights(state);
    StepText packed;
    draw(c, 0, packed);
    const StepText alone = one_by_one(packed, c.sequence);
    ASSERT_GT(alone.inputs.size(), 3 * packed.inputs.size());
    const auto [loss, gradient] = gradient_of(state, packed, c.sequence);
    const auto [wanted_loss, wanted] = gradient_of(state, alone, c.sequence);
    EXPECT_NEAR(loss, wanted_loss, 1e-5 * wanted_loss);
    for (const TensorEntry& t : state.layout.tensors()) {
      double errors = 0, squares = 0;
      for (std::int64_t i = t.offset; i < t.offset + t.size; ++i) {
        const double of_all = wanted[static_cast<std::size_t>(i)];
        errors += std::pow(gradient[static_cast<std::size_t>(i)] - of_all, 2);
        squares += of_all * of_all;
      }
      EXPECT_LE(std::sqrt(errors), 1e-5 * std::sqrt(squares)) << t.name;
    }
  }
}

}  // namespace
}  // namespace cllm
