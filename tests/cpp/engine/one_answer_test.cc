// Weights, moments and evaluation are the same bits for every number of workers, tree, interleaving
// and delay; and each worker and control takes part.
#include "one_answer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "data/evaluation_windows.h"
#include "data/token_source.h"
#include "sanitized.h"

namespace cllm {
namespace {

class OneAnswer : public testing::TestWithParam<TrainingCase> {};

TEST_P(OneAnswer, SameBitsOnEveryTree) {
  const TrainingCase& c = GetParam();
  expect_one_answer(c, is_heavy(c) || kSanitized ? 4 : 8, one_answer_threads(c));
}

// Another seed of the weights must change the hash, or it would prove nothing.
TEST_P(OneAnswer, OtherWeightsGiveOtherBits) {
  TrainingRun one(GetParam(), 3, false), other(GetParam(), 3, false);
  other.state().trained(0)[5] += 1e-3f;
  one.train(2);
  other.train(2);
  EXPECT_NE(digest(one.state()), digest(other.state()));
}

/// `length` tokens of text, over and over, as a file of 16 bits each without a header.
std::string token_file(const TemporaryFolder& folder, const TrainingCase& c, std::size_t length) {
  std::string tokens;
  for (std::size_t i = 0; i < length; ++i) {
    const auto letter = static_cast<unsigned char>(english()[i % english().size()]);
    tokens.push_back(static_cast<char>(letter % c.vocabulary));
    tokens.push_back('\0');
  }
  return folder.file("tokens.bin", tokens);
}

/// The bits of a loss after one step; evaluation must not change a bit, nor training afterwards
/// hang.
std::uint64_t evaluate(const TrainingCase& c, std::int64_t threads, bool delays,
                       const EvaluationWindows& windows) {
  TrainingRun run(c, threads, delays);
  run.train(1);
  const std::string before = digest(run.state());
  const double loss = run.session().evaluate(windows);
  EXPECT_EQ(digest(run.state()), before);
  EXPECT_GT(loss, 1.0);
  EXPECT_LT(loss, 10.0);
  run.train(1);
  EXPECT_NE(run.session().evaluate(windows), loss) << "the weights have changed";
  std::uint64_t bits;
  std::memcpy(&bits, &loss, sizeof bits);
  return bits;
}

TEST_P(OneAnswer, EvaluationToo) {
  const TrainingCase& c = GetParam();
  const Watchdog watchdog("evaluating " + c.name, std::chrono::seconds(250));
  const TemporaryFolder folder;
  const TokenSource source(token_file(folder, c, 4000), c.vocabulary);
  const EvaluationWindows windows({&source, 3, source.size()}, c.sequence);
  ASSERT_NE(windows.targets() % c.sequence, 0) << "the last window is cut";
  const std::uint64_t expected = evaluate(c, 1, false, windows);
  for (std::int64_t threads : one_answer_threads(c)) {
    EXPECT_EQ(evaluate(c, threads, threads % 2 == 0, windows), expected) << threads << " spheres";
  }
}

// Evaluation works in the memory of training, so a step must find nothing there that it needs.
TEST_P(OneAnswer, NothingIsLeftInWorkspacesFromStepToStep) {
  const TrainingCase& c = GetParam();
  const Watchdog watchdog("workspaces of " + c.name, std::chrono::seconds(250));
  const TemporaryFolder folder;
  const TokenSource source(token_file(folder, c, 1000), c.vocabulary);
  const EvaluationWindows windows(whole(source), c.sequence);
  TrainingRun undisturbed(c, 4, false), run(c, 4, false);
  for (int step = 0; step < 4; ++step) {
    undisturbed.train(1);
    run.train(1);
    const Span<float> memory = run.session().workspace_memory();
    std::fill_n(memory.data(), memory.size(), std::numeric_limits<float>::quiet_NaN());
    EXPECT_TRUE(std::isfinite(run.session().evaluate(windows)));
    std::fill_n(memory.data(), memory.size(), std::numeric_limits<float>::quiet_NaN());
  }
  EXPECT_EQ(digest(run.state()), digest(undisturbed.state()));
}

// Workers look for tiles once more after an evaluation, when its data is gone already.
TEST(Evaluation, OfAnyDataInTurn) {
  const TrainingCase c = {"Small", 1, 2, 16, 16, 101, 4, 2};
  const Watchdog watchdog("evaluating other data", std::chrono::seconds(250));
  const TemporaryFolder folder;
  const std::string file = token_file(folder, c, 400);
  const auto loss_of = [&](Session& session, std::int64_t windows) {
    const TokenSource source(file, c.vocabulary);
    return session.evaluate(
        EvaluationWindows({&source, windows, windows + windows * c.sequence + 5}, c.sequence));
  };
  TrainingRun alone(c, 1, false), run(c, 6, false);
  for (int turn = 0; turn < 40; ++turn) {
    for (std::int64_t windows = 1; windows < 10; ++windows) {
      ASSERT_EQ(loss_of(run.session(), windows), loss_of(alone.session(), windows));
    }
  }
}

// More tokens than one stage takes: shards follow each other in their lanes, round after round.
TEST(Evaluation, OfSeveralRounds) {
  const TrainingCase c = {"Small", 1, 2, 16, 16, 101, 4, 2};
  const Watchdog watchdog("evaluating in rounds", std::chrono::seconds(250));
  const TemporaryFolder folder;
  const TokenSource source(token_file(folder, c, 110000), c.vocabulary);
  const EvaluationWindows windows(whole(source), c.sequence);
  const std::uint64_t expected = evaluate(c, 1, false, windows);
  for (std::int64_t threads : {3, 14, 64}) {
    EXPECT_EQ(evaluate(c, threads, threads == 14, windows), expected) << threads << " spheres";
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, OneAnswer, testing::ValuesIn(fewer_if_sanitized(training_cases())),
                         [](const auto& test) { return test.param.name; });

TEST(ManyThreads, TwoHundredStartTrainAndStop) {
  const Watchdog watchdog("200 threads", std::chrono::seconds(250));
  const TrainingCase c = training_cases().front();
  TrainingRun alone(c, 1, false);
  alone.train(5);
  for (const bool delays : {false, true}) {
    TrainingRun many(c, 200, delays);
    many.train(5);
    EXPECT_EQ(digest(many.state()), digest(alone.state()));
    if (delays) many.expect_all_took_part();
  }
}

// Fifteen positions need a pool that reckons with two sums waiting at each level of the merge tree.
TEST(ManyPositions, OneWorkerFindsABufferForEach) {
  TrainingCase c = {"FifteenPositions", 1, 2, 16, 8, 64, 15, 15};
  const Watchdog watchdog("fifteen positions", std::chrono::seconds(60));
  std::string expected;
  for (std::int64_t threads : {1, 2, 3, 20}) {
    SessionConfig config = session_config(c, threads);
    config.model.symmetry_order = 16;
    Session session(config);
    start_weights(session.state());
    std::vector<std::int32_t> inputs, targets;
    TextBatches(c).fill(0, inputs, targets);
    EXPECT_FALSE(session.step(0, {inputs.data(), targets.data()}).skipped);
    if (expected.empty()) expected = digest(session.state());
    EXPECT_EQ(digest(session.state()), expected) << threads;
  }
}

}  // namespace
}  // namespace cllm
