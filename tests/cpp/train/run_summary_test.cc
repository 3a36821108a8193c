// These tests check the first lines of a run, and what its end reports.
#include "setup/run_summary.h"

#include <gtest/gtest.h>

#include "cllm/model.h"
#include "cllm/trainer.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

class RunSummary : public ::testing::Test {
 protected:
  RunSummary() {
    config_.data = folder_.file("text.txt", std::string(5000, 'a') + "b");
    config_.out = folder_ / "run";
    config_.layers = config_.heads = 1;
    config_.width = 16;
    config_.workers = "1";
    config_.steps = 4;
  }

  TemporaryFolder folder_;
  TrainConfig config_;
};

TEST_F(RunSummary, SaysModelDataLengthAndPlaces) {
  config_.steps = 60;
  EXPECT_EQ(describe(plan_run(config_)),
            "model   1 layer, 1 head, width 16, vocabulary 257: 8,448 parameters\n"
            "data    " +
                config_.data +
                " (text): 4,500 tokens to train on, 501 to validate\n"
                "train   60 steps, each of 12 x 64 tokens: 10.2 epochs; validated every 8 steps\n"
                "save    " +
                config_.out + "/final at the end, " + config_.out + "/checkpoints every 8 steps, " +
                config_.out + "/metrics.jsonl at each step");
}

TEST_F(RunSummary, SaysWhatFamilyTheModelIsOf) {
  RunPlan plan = plan_run(config_);
  plan.session.model.family = Family::kLlama;
  plan.session.model.heads = 4;
  plan.session.model.kv_heads = 2;
  EXPECT_TRUE(has(describe(plan), "model   llama, 1 layer, 4 heads (2 of keys), width 16, "))
      << describe(plan);
}

TEST_F(RunSummary, SaysWhichAdaptersAreTrained) {
  Model::create({1, 1, 16, 64, 257}, 1, true, 1).save(folder_ / "model");
  config_.init = folder_ / "model";
  config_.lora = true;
  config_.lora_targets = "c_attn,c_fc";
  const std::string text = describe(plan_run(config_));
  EXPECT_TRUE(has(text, ": 8,448 parameters, from " + config_.init +
                            "\nadapter rank 8, scale 2, on c_attn,c_fc: 1,152 parameters, 14 % of "
                            "the model's\ndata"))
      << text;
  config_.lora_modules_to_save = kEmbeddings;
  const std::string with = describe(plan_run(config_));
  EXPECT_TRUE(has(with, "on c_attn,c_fc, and embeddings whole: 5,264 parameters")) << with;
}

TEST_F(RunSummary, OneIsNotMany) {
  config_.steps = config_.batch = 1;
  config_.sequence = 1;
  config_.save_every = 0;
  const std::string text = describe(plan_run(config_));
  EXPECT_TRUE(
      has(text, "train   1 step, each of 1 x 1 token: 0.000222 epochs; validated every 1 step"))
      << text;
  EXPECT_FALSE(has(text, "checkpoints")) << text;
}

TEST_F(RunSummary, SaysHowAStepIsComputedOnRequest) {
  const std::string few = describe(plan_run(config_));
  config_.verbose = true;
  const std::string many = describe(plan_run(config_));
  EXPECT_EQ(many.substr(0, few.size()), few);
  for (const char* word :
       {"shard", "position", "routed", "tree ", "kernels ", "memory ", "moments"}) {
    EXPECT_FALSE(has(few, word)) << word;
    EXPECT_TRUE(has(many, word)) << word;
  }
}

TEST_F(RunSummary, AResumedRunSaysWhereItGoesOn) {
  struct : TrainObserver {
  } nothing;
  Trainer(config_).run(nothing);
  config_.resume = config_.out;
  const std::string over = describe(plan_run(config_));
  EXPECT_TRUE(has(over, "train   nothing more: all 4 steps are made; with --steps N the run goes"));
  EXPECT_FALSE(has(over, "save ")) << over;
  config_.steps = 9;
  EXPECT_TRUE(has(describe(plan_run(config_)), "train   9 steps, on from step 4, each of"));
}

/// Keeps the reports of a run.
struct Listener : TrainObserver {
  void on_evaluation(const EvaluationReport& report) override { evaluation = report; }
  void on_end(const RunReport& report) override { ends.push_back(report); }
  bool wants_stop() override { return stop; }

  EvaluationReport evaluation;
  std::vector<RunReport> ends;
  bool stop = false;
};

TEST_F(RunSummary, TheEndReportsTheResultAndItsTime) {
  Trainer trainer(config_);
  Listener listener;
  listener.stop = true;
  ASSERT_EQ(trainer.run(listener), RunOutcome::kStopped);
  EXPECT_TRUE(listener.ends.empty()) << "it has not reached its end";
  listener.stop = false;
  ASSERT_EQ(trainer.run(listener), RunOutcome::kFinished);
  ASSERT_EQ(listener.ends.size(), 1u);
  const RunReport& end = listener.ends.front();
  EXPECT_EQ(end.step, 4);
  EXPECT_EQ(end.model, config_.out + "/final");
  EXPECT_TRUE(end.evaluated);
  EXPECT_EQ(end.validation_loss, listener.evaluation.validation_loss);
  EXPECT_EQ(end.bits_per_byte, listener.evaluation.bits_per_byte);
  for (const double seconds :
       {end.starting_seconds, end.training_seconds, end.validation_seconds, end.saving_seconds}) {
    EXPECT_GT(seconds, 0);
  }
}

}  // namespace
}  // namespace cllm
