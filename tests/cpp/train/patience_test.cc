// These tests check that a run without progress ends early: when, what it leaves, and that a stop
// and a resumed run do not change that.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "base/files.h"
#include "cllm/error.h"
#include "cllm/trainer.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

/// Keeps the notes, and stops at a step.
struct Listener : TrainObserver {
  void on_note(const std::string& note) override { notes += note + "\n"; }
  void on_step(const StepReport& report) override { step = report.step; }
  void on_end(const RunReport& report) override { ends.push_back(report); }
  bool wants_stop() override { return step == stop_at; }

  std::string notes;
  std::int64_t step = 0, stop_at = -1;
  std::vector<RunReport> ends;
};

class Patience : public ::testing::Test {
 protected:
  Patience() {
    config_.data = folder_.file("text.txt", std::string(500, 'a') + std::string(500, 'b'));
    config_.out = folder_ / "run";
    config_.layers = 1;
    config_.heads = 1;
    config_.width = 8;
    config_.sequence = 8;
    config_.batch = 2;
    config_.workers = "1";
    config_.learning_rate = 0;  // no evaluation is better than the first
    config_.steps = 20;
    config_.eval_every = 2;
    config_.patience = 3;
  }

  /// Runs it; returns the steps that were made in all.
  std::int64_t run(RunOutcome wanted, std::int64_t stop_at = -1) {
    listener_ = {};
    listener_.stop_at = stop_at;
    Trainer trainer(config_);
    EXPECT_EQ(trainer.run(listener_), wanted);
    EXPECT_EQ(!listener_.ends.empty(), wanted == RunOutcome::kFinished);
    return trainer.steps_done();
  }
  bool is_there(const std::string& name) const {
    return std::filesystem::exists(config_.out + "/" + name);
  }
  std::string refused() const {
    try {
      const Trainer trainer(config_);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }

  const TemporaryFolder folder_;
  TrainConfig config_;
  Listener listener_;
};

TEST_F(Patience, EndsARunThatIsAsCompleteAsAnyOther) {
  config_.keep_best = true;
  EXPECT_EQ(run(RunOutcome::kFinished), 8) << "2 is the best; 4, 6 and 8 are not";
  EXPECT_TRUE(has(listener_.notes,
                  "step 8: the run ends early, after 3 evaluations without a "
                  "lower validation loss than "));
  EXPECT_TRUE(has(listener_.notes, " at step 2 (--patience 3"));
  EXPECT_TRUE(is_there("final/model.safetensors"));
  EXPECT_EQ(std::filesystem::read_symlink(config_.out + "/checkpoints/best"), "step-00000002");
  ASSERT_EQ(listener_.ends.size(), 1u);
  EXPECT_EQ(listener_.ends.front().best_model, config_.out + "/checkpoints/best");
  EXPECT_EQ(listener_.ends.front().best_step, 2);
}

/// A run was killed after its last model was saved: before that was evaluated, or between that and
/// the checkpoint of the best.
class BestAtTheEnd : public Patience, public ::testing::WithParamInterface<bool> {};

TEST_P(BestAtTheEnd, IsKeptByTheSameCommand) {
  config_.learning_rate = 0.01;
  config_.patience = 0;
  config_.keep_best = true;
  config_.eval_every = 5;
  EXPECT_EQ(run(RunOutcome::kFinished), 20);
  const std::string checkpoints = config_.out + "/checkpoints", metrics = "/metrics.jsonl";
  ASSERT_EQ(std::filesystem::read_symlink(checkpoints + "/best"), "step-00000020");
  std::filesystem::remove_all(checkpoints + "/step-00000020");
  const std::string lines = read_text_file(config_.out + metrics);
  if (GetParam()) {
    const std::size_t end = lines.rfind("{\"step\":20,\"val_loss\"");
    ASSERT_NE(end, std::string::npos);
    std::ofstream(config_.out + metrics) << lines.substr(0, end);
  }
  config_.resume = config_.out;
  EXPECT_EQ(run(RunOutcome::kFinished), 20);
  EXPECT_TRUE(is_there("checkpoints/step-00000020/model.safetensors"));
  EXPECT_EQ(std::filesystem::read_symlink(checkpoints + "/best"), "step-00000020");
  EXPECT_EQ(read_text_file(config_.out + metrics), lines);
}
INSTANTIATE_TEST_SUITE_P(BeforeItsEvaluation, BestAtTheEnd, testing::Bool());

TEST_F(Patience, AResumedRunCountsOn) {
  EXPECT_EQ(run(RunOutcome::kStopped, 5), 5);
  config_.resume = config_.out;
  EXPECT_EQ(run(RunOutcome::kFinished), 8);
  EXPECT_EQ(run(RunOutcome::kFinished), 8) << "nothing has changed";
  config_.patience = 5;
  EXPECT_EQ(run(RunOutcome::kFinished), 12);
  config_.patience = 0;
  config_.given.insert("patience");
  EXPECT_EQ(run(RunOutcome::kFinished), 20);
  EXPECT_FALSE(has(listener_.notes, "ends early"));
}

TEST_F(Patience, IsNotLostWhereNothingIsSaved) {
  config_.out = "";
  EXPECT_EQ(run(RunOutcome::kFinished), 8);
}

TEST_F(Patience, WaitsForEvaluations) {
  config_.eval_every = 0;
  EXPECT_TRUE(has(refused(), "--patience: nothing is evaluated: got --eval-every 0"));
  config_.eval_every = 2;
  config_.validation = folder_.file("short.txt", "a");
  EXPECT_TRUE(has(refused(), "got no validation data"));
  EXPECT_FALSE(is_there("config.toml"));
}

}  // namespace
}  // namespace cllm
