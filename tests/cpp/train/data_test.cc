// The data file may change during a run. Changes to its name do not matter; changes to its bytes
// end the run with a message, after the last step and before the next.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "checkpoint/trainer_state.h"
#include "cllm/trainer.h"
#include "has.h"
#include "setup/run_plan.h"
#include "setup/run_summary.h"
#include "small_run.h"
#include "temporary_folder.h"
#include "watchdog.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

std::string some_text(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) text += "line " + std::to_string(i * i) + "\n";
  text.resize(size);
  return text;
}

void overwrite(const std::string& path, std::size_t at, const std::string& bytes) {
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the grain of times on files
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at));
  file << bytes;
  ASSERT_TRUE(file.flush());
}

class RunData : public testing::Test {
 protected:
  RunData() {
    config_ = small_run(folder_.file("text.txt", text_), folder_ / "run");
    config_.steps = 8;
    config_.eval_every = config_.save_every = 0;
  }

  /// Trains, and calls `between` after the third step.
  void run(const std::function<void()>& between) {
    struct Observer final : TrainObserver {
      explicit Observer(const std::function<void()>& action) : between(action) {}
      void on_step(const StepReport& report) override {
        if (report.step == 3) between();
      }
      const std::function<void()>& between;
    };
    Observer observer(between);
    Trainer trainer(config_);
    trainer.run(observer);
    hash_ = trainer.weights_hash();
  }
  /// What a trainer says that finds the file changed between two steps. The weights are those of
  /// the last whole step, and they can be saved and, with the file put back, resumed from.
  std::string complaint(const std::function<void()>& change) {
    Trainer trainer(config_);
    for (int i = 0; i < 3; ++i) trainer.step();
    const std::string before = trainer.weights_hash();
    change();
    std::string text;
    // The batch of the next step was drawn before the change.
    for (int i = 0; i < 2 && text.empty(); ++i) {
      text = message_of<DataError>([&] { trainer.step(); });
    }
    EXPECT_TRUE(has(text, config_.data)) << text;
    EXPECT_EQ(trainer.steps_done(), 4);
    EXPECT_NE(trainer.weights_hash(), before);
    const std::string last = trainer.weights_hash();
    EXPECT_THROW(trainer.step(), DataError) << "asked again, it says so again";
    EXPECT_EQ(trainer.weights_hash(), last);
    trainer.save(folder_ / "saved");
    const DataFingerprint saved = read_trainer_state(folder_ / "saved").data;
    EXPECT_EQ(read_trainer_state(folder_ / "saved").step, 4);
    folder_.file("copy.txt", text_);
    TokenSource copy(folder_ / "copy.txt");
    copy.watch();
    EXPECT_TRUE(copy.matches(saved)) << "what the steps were trained on, not what is there now";
    return text;
  }

  const Watchdog watchdog_{"a run whose data changes", std::chrono::seconds(100)};
  const TemporaryFolder folder_;
  const std::string text_ = some_text(3 << 20);
  TrainConfig config_;
  std::string hash_;  // of the weights after run()
};

TEST_F(RunData, TheNameMayGoAndTheRunGoesOn) {
  run([] {});
  const std::string undisturbed = hash_;
  const std::pair<const char*, std::function<void()>> ways[] = {
      {"deleted", [&] { fs::remove(config_.data); }},
      {"renamed", [&] { fs::rename(config_.data, folder_ / "elsewhere.txt"); }},
      {"replaced", [&] { fs::rename(folder_.file("new.txt", "other text"), config_.data); }},
      {"touched", [&] { fs::last_write_time(config_.data, fs::file_time_type::clock::now()); }},
      {"linked", [&] { fs::create_hard_link(config_.data, folder_ / "link.txt"); }}};
  for (const auto& [name, change] : ways) {
    config_.data = folder_.file(std::string(name) + ".txt", text_);
    config_.out = folder_ / (std::string("run-") + name);
    config_.save_every = 2;
    ASSERT_NO_THROW(run(change)) << name;
    EXPECT_EQ(hash_, undisturbed) << name;
    EXPECT_TRUE(fs::exists(config_.out + "/final/trainer_state.json")) << name;
    EXPECT_TRUE(fs::exists(config_.out + "/checkpoints/step-00000006")) << name;
  }
}

TEST_F(RunData, ACutEndsTheRunAfterTheLastStep) {
  const std::string text = complaint([&] { fs::resize_file(config_.data, 100); });
  EXPECT_TRUE(has(text, "cut")) << text;
}

TEST_F(RunData, SoDoesAnEmptyFile) {
  complaint([&] { std::ofstream(config_.data, std::ios::trunc); });
}

TEST_F(RunData, SoDoesAnotherTextWrittenOverIt) {
  const std::string text =
      complaint([&] { overwrite(config_.data, 0, std::string(text_.size(), 'x')); });
  EXPECT_TRUE(has(text, "written to")) << text;
}

TEST_F(RunData, SoDoesOneByteInTheMiddle) {
  complaint([&] { overwrite(config_.data, text_.size() / 2, "#"); });
}

TEST_F(RunData, SoDoesTextThatIsAppended) {
  const std::string text = complaint([&] { std::ofstream(config_.data, std::ios::app) << "more"; });
  EXPECT_TRUE(has(text, "grew")) << text;
}

TEST_F(RunData, RunEndsWithTheSameMessage) {
  const std::string text =
      message_of<DataError>([&] { run([&] { fs::resize_file(config_.data, 100); }); });
  EXPECT_TRUE(has(text, "cut") && has(text, config_.data)) << text;
}

TEST_F(RunData, AValidationFileThatIsCutBreaksTheEvaluationOff) {
  config_.validation = folder_.file("val.txt", some_text(1 << 18));
  Trainer trainer(config_);
  trainer.step();
  const double loss = trainer.evaluate().validation_loss;
  const std::string before = trainer.weights_hash();
  fs::resize_file(config_.validation, 1 << 17);
  const std::string text = message_of<DataError>([&] { trainer.evaluate(); });
  EXPECT_TRUE(has(text, "cut") && has(text, config_.validation)) << text;
  EXPECT_EQ(trainer.weights_hash(), before);
  EXPECT_NO_THROW(trainer.step()) << "the threads are as they were";
  std::ofstream(config_.validation, std::ios::trunc) << some_text(1 << 18);
  EXPECT_NEAR(trainer.evaluate().validation_loss, loss, 0.5) << "put back as it was";
}

TEST_F(RunData, ResumeTakesTheBytesAndNothingElse) {
  run([] {});
  TrainConfig again = config_;
  again.resume = config_.out;
  EXPECT_NO_THROW(Trainer{again});
  again.data = folder_.file("moved.txt", text_);
  EXPECT_NO_THROW(Trainer{again}) << "the same bytes under another name";
  overwrite(again.data, text_.size() / 2, "#");
  const std::string text = message_of<InputError>([&] { Trainer{again}; });
  EXPECT_TRUE(has(text, "not what the run was trained on")) << "the middle counts too: " << text;
}

TEST_F(RunData, ThePlanSaysWhatIsOddAboutTheFiles) {
  config_.eval_every = 4;  // without evaluations --val is not used, which is said
  const auto notes = [&] {
    std::string all;
    for (const std::string& note : plan_run(config_).notes) all += note + "\n";
    return all;
  };
  EXPECT_EQ(notes(), "");
  config_.vocabulary = 50257;
  EXPECT_TRUE(has(notes(), "--vocab 50257"));
  config_.vocabulary = 0;
  config_.validation = folder_.file("val.txt", some_text(5000));
  EXPECT_EQ(notes(), "");
  EXPECT_TRUE(has(describe(plan_run(config_)), "5,000 of " + config_.validation + " to validate"));
  const std::string warning = "--val is the training data itself";
  config_.validation = config_.data;
  EXPECT_TRUE(has(notes(), warning));
  fs::create_symlink(config_.data, folder_ / "link.txt");
  config_.validation = folder_ / "link.txt";
  EXPECT_TRUE(has(notes(), warning)) << "under another name";
  config_.validation = folder_.file("copy.txt", text_);
  EXPECT_TRUE(has(notes(), warning)) << "a copy";
}

TEST_F(RunData, ANewTimeOnTheDataIsNoChange) {
  Trainer trainer(config_);
  trainer.step();
  overwrite(config_.data, 5, text_.substr(5, 3));
  for (int i = 0; i < 3; ++i) EXPECT_NO_THROW(trainer.step());
}

}  // namespace
}  // namespace cllm
