// A worker that throws at any border of a training step stops the run within a second with the
// original exception. It spares the weights when nothing was updated yet, and disturbs no other
// session.
#include <atomic>
#include <chrono>
#include <cmath>
#include <mutex>

#include "data/evaluation_windows.h"
#include "data/token_source.h"
#include "one_answer.h"

namespace cllm {
namespace {

using Clock = std::chrono::steady_clock;

struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A border of the step: a job and a phase of it.
struct Border {
  int job;
  std::int32_t phase;
  bool operator<(const Border& o) const { return job != o.job ? job < o.job : phase < o.phase; }
  bool operator==(const Border& o) const { return job == o.job && phase == o.phase; }
};

std::string name_of(const Border& b) {
  return "job " + std::to_string(b.job) + " phase " + std::to_string(b.phase);
}

struct Batch {
  std::vector<std::int32_t> inputs, targets;
};

Batch batch_of(const TrainingCase& c, int step) {
  Batch batch;
  TextBatches(c).fill(step, batch.inputs, batch.targets);
  return batch;
}

/// Every border that a step passes, seen by a hook on one thread.
std::vector<Border> borders_of(const TrainingCase& c, std::int64_t threads) {
  std::vector<Border> all;
  SessionConfig config = session_config(c, threads);
  std::mutex mutex;
  config.tree.before_tile = [&](int, const TileClaim& claim) {
    const std::lock_guard<std::mutex> lock(mutex);
    all.push_back({claim.job, claim.phase});
  };
  Session session(config);
  start_weights(session.state());
  const Batch batch = batch_of(c, 0);
  session.step(0, {batch.inputs.data(), batch.targets.data()});
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

/// The exception of a step, and that it came within a second.
std::string fault_of_step(Session& session, const Batch& batch) {
  const auto start = Clock::now();
  const std::string text =
      message_of<Fault>([&] { session.step(1, {batch.inputs.data(), batch.targets.data()}); });
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(1));
  return text;
}

class TrainFault : public testing::TestWithParam<std::int64_t> {
 protected:
  Watchdog watchdog_{"a session with a fault", std::chrono::seconds(280)};
  const TrainingCase case_ = {"Fault", 1, 2, 24, 16, 101, 5, 3};
};

TEST_P(TrainFault, EveryBorderOfAStep) {
  const std::vector<Border> borders = borders_of(case_, GetParam());
  // Jobs: positions, merges (one of three here), norms, updates and packings by owner.
  const int positions = 3, merges = 1;
  const SessionConfig plain = session_config(case_, GetParam());
  const int owners = OwnedBlocks(layout_of(plain).trainables(),
                                 plan_tree(GetParam()).owners(plain.active_workers()))
                         .owners();
  const int first_update = positions + merges + owners;
  const int first_packing = first_update + owners;
  ASSERT_GE(borders.back().job, first_packing);
  const auto of_first =
      std::count_if(borders.begin(), borders.end(), [](const Border& b) { return b.job == 0; });
  ASSERT_GE(of_first, 10) << "each phase of a position is a border";

  const Batch first = batch_of(case_, 0), second = batch_of(case_, 1);
  for (const Border& border : borders) {
    SCOPED_TRACE(name_of(border));
    std::atomic<bool> armed{false};
    SessionConfig config = session_config(case_, GetParam());
    config.tree.before_tile = [&](int, const TileClaim& claim) {
      if (armed && border == Border{claim.job, claim.phase}) throw Fault(name_of(border));
    };
    Session session(config);
    ModelState& state = session.state();
    start_weights(state);
    session.step(0, {first.inputs.data(), first.targets.data()});
    const std::string before = digest(state);
    armed = true;
    EXPECT_EQ(fault_of_step(session, second), name_of(border));
    if (border.job < first_update || border.job >= first_packing) {
      EXPECT_EQ(digest(state), before) << "nothing is updated before every norm is known";
    } else {
      for (const float weight : state.parameters.span()) ASSERT_TRUE(std::isfinite(weight));
    }
    const std::string after = digest(state);
    EXPECT_EQ(fault_of_step(session, second), name_of(border)) << "it throws the same again";
    EXPECT_EQ(digest(state), after);
  }
}

TEST_P(TrainFault, MeanwhileThrows) {
  SessionConfig config = session_config(case_, GetParam());
  auto session = std::make_unique<Session>(config);
  start_weights(session->state());
  auto batch = std::make_unique<Batch>(batch_of(case_, 0));
  const std::string before = digest(session->state());
  const std::string text = message_of<Fault>([&] {
    session->step(0, {batch->inputs.data(), batch->targets.data()},
                  [] { throw Fault("no next batch"); });
  });
  EXPECT_EQ(text, "no next batch");
  batch.reset();  // nobody reads it any more
  EXPECT_EQ(digest(session->state()), before);
  const auto start = Clock::now();
  session.reset();
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(1));
}

TEST_P(TrainFault, DuringEvaluation) {
  TemporaryFolder folder;
  const std::string text = english().substr(0, 2000);
  const TokenSource source(folder.file("text.txt", text));
  TrainingCase c = case_;
  c.vocabulary = TokenSource::kByteVocabulary;
  std::atomic<int> tiles{0};
  SessionConfig config = session_config(c, GetParam());
  config.tree.before_tile = [&](int, const TileClaim&) {
    if (++tiles == 20) throw Fault("evaluation");
  };
  Session session(config);
  start_weights(session.state());
  const std::string before = digest(session.state());
  const auto start = Clock::now();
  const EvaluationWindows windows(whole(source), c.sequence);
  EXPECT_EQ(message_of<Fault>([&] { session.evaluate(windows); }), "evaluation");
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(1));
  EXPECT_EQ(digest(session.state()), before);
}

TEST_P(TrainFault, AnotherSessionGoesOnWithTheRightBits) {
  TrainingRun alone(case_, 1, false);
  alone.train(12);

  TrainingRun healthy(case_, GetParam(), false);
  std::thread other([&] { healthy.train(12); });
  for (int round = 0; round < 6; ++round) {
    SessionConfig config = session_config(case_, GetParam());
    std::atomic<int> tiles{0};
    config.tree.before_tile = [&, round](int, const TileClaim&) {
      if (++tiles > 20 * round) throw Fault("beside");
    };
    Session session(config);
    start_weights(session.state());
    EXPECT_EQ(fault_of_step(session, batch_of(case_, 0)), "beside");
  }
  other.join();
  EXPECT_EQ(digest(healthy.state()), digest(alone.state()));
}

INSTANTIATE_TEST_SUITE_P(Threads, TrainFault, testing::Values(1, 3, 14, 64),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace cllm
