// One answer: weights, moments and evaluation are the same bits for every number of workers, tree,
// interleaving and delay; and each worker and control takes part.
#include <cstring>

#include "data/token_source.h"
#include "one_answer.h"

namespace cllm {
namespace {

class OneAnswer : public testing::TestWithParam<TrainingCase> {};

TEST_P(OneAnswer, SameBitsOnEveryTree) { expect_one_answer(GetParam(), 8); }

// Another seed of the weights must change the hash, or it would prove nothing.
TEST_P(OneAnswer, OtherWeightsGiveOtherBits) {
  TrainingRun one(GetParam(), 3, false), other(GetParam(), 3, false);
  other.state().parameters[5] += 1e-3f;
  one.train(2);
  other.train(2);
  EXPECT_NE(digest(one.state()), digest(other.state()));
}

TEST_P(OneAnswer, EvaluationToo) {
  const TrainingCase& c = GetParam();
  const Watchdog watchdog("evaluating " + c.name, std::chrono::seconds(250));
  TemporaryFolder folder;
  std::string tokens;  // headerless: 16 bits a token
  for (char letter : english()) {
    tokens.push_back(static_cast<char>(static_cast<unsigned char>(letter) % c.vocabulary));
    tokens.push_back('\0');
  }
  const TokenSource source(folder.file("tokens.bin", tokens), c.vocabulary);
  // Several rounds of windows where T is short, and a last window that is cut.
  const EvaluationWindows windows({&source, 3, source.size()}, c.sequence);
  ASSERT_NE(windows.targets() % c.sequence, 0);

  std::uint64_t expected = 0;
  const auto evaluate = [&](std::int64_t threads, bool delays) {
    TrainingRun run(c, threads, delays);
    run.train(1);
    const double loss = run.session().evaluate(windows);
    const double again = run.session().evaluate(windows);
    EXPECT_EQ(loss, again) << threads << " spheres";
    EXPECT_GT(loss, 1.0);
    EXPECT_LT(loss, 10.0);
    run.train(1);  // training and evaluation by turns
    EXPECT_NE(run.session().evaluate(windows), loss);
    std::uint64_t bits;
    std::memcpy(&bits, &loss, sizeof bits);
    return bits;
  };
  expected = evaluate(1, false);
  for (std::int64_t threads : one_answer_threads()) {
    EXPECT_EQ(evaluate(threads, threads % 2 == 0), expected) << threads << " spheres";
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, OneAnswer, testing::ValuesIn(training_cases()),
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
    initialize(config.model, session.state().layout, 7, session.state().parameters.data());
    std::vector<std::int32_t> inputs, targets;
    TextBatches(c).fill(0, inputs, targets);
    EXPECT_FALSE(session.step(0, inputs.data(), targets.data()).skipped);
    if (expected.empty()) expected = digest(session.state());
    EXPECT_EQ(digest(session.state()), expected) << threads;
  }
}

}  // namespace
}  // namespace cllm
