// A run on examples of answers trains on their marks alone, takes each once an epoch, resumes
// exactly, and judges the model by held-out answers.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "base/files.h"
#include "cllm/model.h"
#include "cllm/options.h"
#include "cllm/trainer.h"
#include "example_set.h"
#include "has.h"
#include "setup/run_plan.h"
#include "setup/run_summary.h"
#include "small_run.h"
#include "temporary_folder.h"
#include "watchdog.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

class ExampleRun : public testing::Test {
 protected:
  ExampleRun() {
    set_.train = ExampleSet::some(60, 20, 1);
    set_.validation = ExampleSet::some(12, 20, 5);
    set_.write(folder_ / "set");
    config_ = small_run(folder_ / "set", folder_ / "run");
    config_.sequence = 32;
    config_.steps = 8;
    config_.eval_every = 4;
    config_.eval_tokens = 0;
    config_.save_every = 4;
  }

  static std::string run(const TrainConfig& config) {
    Trainer trainer(config);
    TrainObserver none;
    trainer.run(none);
    return trainer.weights_hash();
  }
  static std::string complaint(const TrainConfig& config) {
    return message_of<InputError>([&] { plan_run(config); });
  }
  static std::string notes_of(const RunPlan& plan) {
    std::string all;
    for (const std::string& note : plan.notes) all += note + "\n";
    return all;
  }

  const Watchdog watchdog_{"runs on examples", std::chrono::seconds(100)};
  const TemporaryFolder folder_;
  ExampleSet set_;
  TrainConfig config_;
};

TEST_F(ExampleRun, LearnsTheAnswersAndJudgesByThoseOfItsValidationPart) {
  set_.validation.assign(set_.train.begin(), set_.train.begin() + 12);  // there is no rule in them
  set_.write(folder_ / "set");
  config_.steps = 60;
  config_.learning_rate = 0.01;
  config_.save_every = 0;
  Trainer trainer(config_);
  const double before = trainer.evaluate().validation_loss;
  double first = 0, last = 0;
  for (int step = 0; step < 60; ++step) {
    last = trainer.step().loss;
    if (step == 0) first = last;
  }
  EXPECT_LT(last, first - 1);
  const EvaluationReport report = trainer.evaluate();
  EXPECT_LT(report.validation_loss, before - 1);
  std::int64_t targets = 0;
  for (const ExampleText& example : set_.validation) {
    targets += static_cast<std::int64_t>(example.trained);
  }
  EXPECT_EQ(report.val_tokens, targets);
  EXPECT_EQ(report.val_tokens_total, targets);
  EXPECT_EQ(report.bits_per_byte, 0) << "of answers alone it says nothing";
  EXPECT_EQ(trainer.evaluate(folder_ / "set").validation_loss, report.validation_loss);
}

TEST_F(ExampleRun, ResumesExactly) {
  const std::string through = run(config_);
  TrainConfig again;
  again.resume = folder_ / "run/checkpoints/step-00000004";
  again.out = folder_ / "again";
  EXPECT_EQ(run(again), through);
  // The marks are part of what the run was trained on.
  --set_.train[3].trained;
  set_.write(folder_ / "set");
  fs::remove_all(folder_ / "again");
  const std::string said = message_of<InputError>([&] { run(again); });
  EXPECT_TRUE(has(said, "not what the run was trained on")) << said;
}

TEST_F(ExampleRun, SavesWhichTokensEndAnAnswer) {
  nlohmann::json json = set_.write_files(folder_ / "set");
  json["examples"]["answers_end_with"] = {{"7", 48}, {"8", 2}, {"9", 50}};
  DataSetText::file(folder_ / "set", "dataset.json", json.dump());
  run(config_);
  const auto ends = [](const std::string& folder) {
    return nlohmann::json::parse(read_text_file(folder + "/generation_config.json"))
        .at("eos_token_id");
  };
  const nlohmann::json expected = {set_.like.end_of_text, 9, 7};
  EXPECT_EQ(ends(folder_ / "run/final"), expected) << "a few answers end otherwise by chance";
  config_.init = folder_ / "run";
  config_.out = folder_ / "tuned";
  json["examples"]["answers_end_with"] = {{"11", 60}, {"9", 40}};
  DataSetText::file(folder_ / "set", "dataset.json", json.dump());
  run(config_);
  const nlohmann::json more = {set_.like.end_of_text, 9, 7, 11};
  EXPECT_EQ(ends(folder_ / "tuned/final"), more);
  json["examples"]["answers_end_with"] = {{"300", 60}};
  DataSetText::file(folder_ / "set", "dataset.json", json.dump());
  EXPECT_TRUE(has(complaint(config_), "answers_end_with: 300")) << complaint(config_);
}

TEST_F(ExampleRun, ContinuesByAsManyTokensAsAreAsked) {
  Trainer trainer(config_);
  int heard = 0;
  const auto hear = [&heard](std::int32_t) { return ++heard < 100; };
  trainer.generate({1, 2}, 0, {}, hear);
  EXPECT_EQ(heard, 0);
  trainer.generate({1, 2}, 3, {}, hear);
  EXPECT_EQ(heard, 3);
  const std::string said = message_of<InputError>([&] { trainer.generate({1, 2}, -1, {}, hear); });
  EXPECT_TRUE(has(said, "got -1, expected 0 or more")) << said;
}

// Nothing is computed in such a step, which must not count as a rate that was reached.
TEST_F(ExampleRun, AStepWithoutTargetsHasNoSpeed) {
  Trainer trainer(config_);
  const std::vector<std::int32_t> inputs(4 * 32, 1), none(4 * 32, -1);
  const TokenArray rows = {inputs.data(), 4, 32};
  const StepReport empty = trainer.step(rows, {none.data(), 4, 32}, {});
  EXPECT_EQ(empty.trained_tokens, 0);
  EXPECT_EQ(empty.gflops, 0);
  EXPECT_EQ(empty.mfu, 0);
  const StepReport full = trainer.step(rows, rows, {});
  EXPECT_GT(full.gflops, 0);
}

TEST_F(ExampleRun, PackingChangesNoLoss) {
  Trainer packed(config_);
  config_.out.clear();
  config_.packing = "none";
  Trainer alone(config_);
  EXPECT_EQ(packed.evaluate().val_tokens, alone.evaluate().val_tokens);
  EXPECT_NEAR(packed.evaluate().validation_loss, alone.evaluate().validation_loss, 1e-6);
}

TEST_F(ExampleRun, OneAnswerWhateverTheWorkersAre) {
  config_.out.clear();
  const std::string three = run(config_);
  config_.threads = 7;
  EXPECT_EQ(run(config_), three);
}

TEST_F(ExampleRun, AModelIsEvaluatedOnItsExamples) {
  config_.steps = 4;
  run(config_);
  Model model = Model::load(folder_ / "run");
  const EvaluationReport all = model.evaluate(folder_ / "set");
  EXPECT_TRUE(std::isfinite(all.validation_loss));
  EXPECT_EQ(all.val_tokens, all.val_tokens_total);
  config_.out.clear();
  Trainer trainer(config_);  // of the same shape, with other weights
  EXPECT_EQ(trainer.evaluate(folder_ / "set").val_tokens, all.val_tokens);
}

TEST_F(ExampleRun, IsAsLongAsItsEpochs) {
  config_.steps = 0;
  config_.epochs = 2;
  const RunPlan plan = plan_run(config_);
  EXPECT_EQ(plan.config.steps, (2 * plan.rows->size() + 3) / 4) << "four rows a step";
  config_.epochs = 0;
  EXPECT_EQ(plan_run(config_).config.steps, (3 * plan.rows->size() + 3) / 4) << "three, unasked";
  const std::string text = describe(plan);
  EXPECT_TRUE(has(text, "(examples): 60 examples of ")) << text;
  EXPECT_TRUE(has(text, "sequences, 12 to validate")) << text;
}

TEST_F(ExampleRun, SequencesAreAsLongAsTheLongestExample) {
  config_.sequence = 0;
  std::size_t longest = 0;
  for (const auto* part : {&set_.train, &set_.validation}) {
    for (const ExampleText& example : *part) longest = std::max(longest, example.tokens.size());
  }
  EXPECT_EQ(plan_run(config_).config.sequence, static_cast<std::int64_t>(longest));
  set_.train[0].tokens.assign(1500, 7);
  set_.write(folder_ / "set");
  const RunPlan plan = plan_run(config_);
  EXPECT_EQ(plan.config.sequence, 1024) << "at most";
  EXPECT_TRUE(has(notes_of(plan), "1 example left out: nothing is to be predicted"))
      << notes_of(plan);
}

TEST_F(ExampleRun, WhatIsCutIsSaidOnce) {
  config_.sequence = 16;
  const std::string notes = notes_of(plan_run(config_));
  EXPECT_TRUE(has(notes, " cut after 16 tokens, which leaves out ")) << notes;
  EXPECT_TRUE(has(notes, " to validate cut after 16 tokens")) << notes;
  config_.sequence = 1;
  EXPECT_TRUE(has(complaint(config_), "nothing to predict") ||
              has(complaint(config_), "no example has anything to predict"))
      << complaint(config_);
}

TEST_F(ExampleRun, WithoutAValidationPartNothingIsEvaluated) {
  set_.validation.clear();
  set_.write(folder_ / "set");
  const RunPlan plan = plan_run(config_);
  EXPECT_TRUE(plan.validation.empty());
  EXPECT_EQ(plan.rows->counts().examples, 60) << "none is kept apart";
  EXPECT_TRUE(has(describe(plan), "nothing to validate"));
  run(config_);
}

TEST_F(ExampleRun, DoesNotMixWithTexts) {
  DataSetText texts;
  texts.train = {DataSetText::squares(400)};
  texts.write(folder_ / "texts");
  config_.validation = folder_ / "texts";
  EXPECT_TRUE(has(complaint(config_), "different kinds")) << complaint(config_);
  config_.validation = folder_ / "set";
  config_.data = folder_ / "texts";
  EXPECT_TRUE(has(complaint(config_), "different kinds")) << complaint(config_);
}

TEST_F(ExampleRun, OptionsWithoutEffectAreSaid) {
  set_option(config_, "shuffle", "windows");
  set_option(config_, "packing", "none");
  const RunPlan plan = plan_run(config_);
  EXPECT_EQ(plan.rows->size(), 60) << "one example a sequence";
  EXPECT_TRUE(has(notes_of(plan), "--shuffle windows is not used")) << notes_of(plan);
  EXPECT_FALSE(has(notes_of(plan), "--packing"));
  DataSetText texts;
  texts.train = {DataSetText::squares(400)};
  texts.write(folder_ / "texts");
  config_.data = folder_ / "texts";
  const std::string notes = notes_of(plan_run(config_));
  EXPECT_TRUE(has(notes, "--packing none is not used")) << notes;
}

TEST_F(ExampleRun, GoesOnFromAModelOfTheSameTokenizerWithItsTemplate) {
  config_.steps = 4;
  run(config_);
  config_.init = folder_ / "run";
  config_.out = folder_ / "tuned";
  nlohmann::json json = set_.write_files(folder_ / "set");
  json["tokenizer"]["files"]["chat_template.jinja"] =
      DataSetText::file(folder_ / "set", "chat_template.jinja", "{{ messages }}");
  DataSetText::file(folder_ / "set", "dataset.json", json.dump());
  run(config_);
  EXPECT_EQ(read_text_file(folder_ / "tuned/final/chat_template.jinja"), "{{ messages }}");
  EXPECT_EQ(read_text_file(folder_ / "tuned/final/tokenizer.json"), set_.like.tokenizer);
  set_.like.tokenizer = R"({"version": "other"})";
  set_.write(folder_ / "set");
  config_.out = folder_ / "refused";
  EXPECT_TRUE(has(complaint(config_), "another tokenizer")) << complaint(config_);
  EXPECT_FALSE(fs::exists(folder_ / "refused"));
}

}  // namespace
}  // namespace cllm
