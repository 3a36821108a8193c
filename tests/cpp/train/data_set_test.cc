// A run on a data set's folder trains on its shards, validates on its validation part, and its
// checkpoints have its tokenizer.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>

#include "base/files.h"
#include "checkpoint/model_folder.h"
#include "cllm/model.h"
#include "cllm/trainer.h"
#include "data_set_folder.h"
#include "has.h"
#include "small_run.h"
#include "temporary_folder.h"
#include "watchdog.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

class DataSetRun : public testing::Test {
 protected:
  DataSetRun() {
    text_.train = {DataSetText::squares(400), DataSetText::squares(30), DataSetText::squares(210)};
    text_.validation = {DataSetText::squares(90)};
    text_.write(folder_ / "set");
    config_ = small_run(folder_ / "set", folder_ / "run");
    config_.steps = 4;
    config_.eval_every = 2;
    config_.save_every = 2;
  }

  /// Returns the hash of the weights after the run.
  static std::string run(const TrainConfig& config) {
    Trainer trainer(config);
    TrainObserver none;
    trainer.run(none);
    return trainer.weights_hash();
  }
  static std::string complaint(const TrainConfig& config) {
    return message_of<InputError>([&] { run(config); });
  }
  TrainConfig resuming() const {
    TrainConfig config;
    config.resume = folder_ / "run/checkpoints/step-00000002";
    config.out = folder_ / "again";
    return config;
  }

  const Watchdog watchdog_{"runs on a data set", std::chrono::seconds(100)};
  const TemporaryFolder folder_;
  DataSetText text_;
  TrainConfig config_;
};

TEST_F(DataSetRun, TrainsAsOnOneFileAndValidatesOnItsPart) {
  DataSetText::Tokens whole;
  for (const auto& shard : text_.train) whole.insert(whole.end(), shard.begin(), shard.end());
  write_token_file(folder_ / "whole.bin", {whole.data(), whole.size()}, 300, 2);
  TrainConfig of_file = config_;
  of_file.data = folder_ / "whole.bin";
  of_file.validation = folder_ / "set/val-00000.bin";
  of_file.out = folder_ / "other";
  Trainer one(config_), other(of_file);
  for (int i = 0; i < 3; ++i) {
    one.step();
    other.step();
  }
  EXPECT_EQ(one.weights_hash(), other.weights_hash());
  const EvaluationReport report = one.evaluate();
  EXPECT_EQ(report.validation_loss, other.evaluate().validation_loss);
  EXPECT_EQ(report.val_tokens_total, 89);
  EXPECT_NEAR(report.bits_per_byte, report.validation_loss / std::log(2.0) / 2, 1e-9)
      << "a token stands for two bytes";
}

TEST_F(DataSetRun, CheckpointsHaveTheTokenizerAndEndTexts) {
  run(config_);
  for (const char* folder : {"run/final", "run/checkpoints/step-00000002"}) {
    EXPECT_EQ(read_text_file(folder_ / (std::string(folder) + "/tokenizer.json")), text_.tokenizer);
    const ModelDescription model = read_model_config(folder_ / folder);
    EXPECT_EQ(model.end_tokens, std::vector<std::int32_t>{299});
    EXPECT_FALSE(model.byte_tokens);
    EXPECT_EQ(model.config.vocabulary, 300);
  }
  Model model = Model::load(folder_ / "run");
  const EvaluationReport report = model.evaluate(folder_ / "set");
  EXPECT_EQ(report.val_tokens, 89) << "a data set is evaluated on its validation part";
  EXPECT_GT(report.bits_per_byte, 0);
  const std::int64_t window = model.config().context;
  const EvaluationReport some = model.evaluate(folder_ / "set", window + 1);
  EXPECT_EQ(some.val_tokens, 2 * window) << "a sample is of whole windows";
  EXPECT_EQ(some.val_tokens_total, 89);
  EXPECT_THROW(model.evaluate(folder_ / "set", -1), InputError);
}

TEST_F(DataSetRun, TextIsLeftToTheTokenizerOfAModelThatReadsNoBytes) {
  run(config_);
  const Model words = Model::load(folder_ / "run");
  const Model bytes = Model::create(words.config(), 1, true);
  const std::vector<std::string> both{folder_.file("a.txt", "some text"),
                                      folder_.file("b.txt", "more")};
  EXPECT_EQ(words.texts_to_encode(folder_ / "*.txt"), both);
  EXPECT_TRUE(words.texts_to_encode(folder_ / "set").empty());
  EXPECT_TRUE(bytes.texts_to_encode(folder_ / "a.txt").empty());
}

TEST_F(DataSetRun, ResumesWhereverTheFolderIs) {
  const std::string through = run(config_);
  fs::rename(folder_ / "set", folder_ / "moved");
  TrainConfig again = resuming();
  EXPECT_TRUE(has(complaint(again), "no such file")) << complaint(again);
  again.data = folder_ / "moved";
  again.given.insert("data");
  EXPECT_EQ(run(again), through);
}

TEST_F(DataSetRun, ResumesOnTheSamePartsOnly) {
  text_.train = {DataSetText::squares(500)};
  text_.write(folder_ / "one");
  config_.data = folder_ / "one";
  run(config_);
  TrainConfig again = resuming();
  again.given.insert("data");
  // The same training file, but without the validation part it would lose a tenth.
  again.data = folder_ / "one/train-00000.bin";
  EXPECT_TRUE(has(complaint(again), "validation part")) << complaint(again);
  again.data = folder_ / "set";
  EXPECT_TRUE(has(complaint(again), "not what the run was trained on")) << complaint(again);
  text_.validation = {DataSetText::squares(80)};
  text_.write(folder_ / "one");
  again.data = folder_ / "one";
  EXPECT_TRUE(has(complaint(again), "validation data is not")) << complaint(again);
}

TEST_F(DataSetRun, GoesOnFromAModelOfTheSameTokenizerOnly) {
  run(config_);
  config_.init = folder_ / "run";
  config_.out = folder_ / "tuned";
  run(config_);
  EXPECT_EQ(read_text_file(folder_ / "tuned/final/tokenizer.json"), text_.tokenizer);
  text_.tokenizer = R"({"version": "other"})";
  text_.write(folder_ / "other");
  config_.data = folder_ / "other";
  config_.out = folder_ / "refused";
  EXPECT_TRUE(has(complaint(config_), "another tokenizer")) << complaint(config_);
  EXPECT_FALSE(fs::exists(folder_ / "refused"));
}

TEST_F(DataSetRun, TellsDocumentsApartWhenAsked) {
  for (auto* part : {&text_.train[0], &text_.train[2], &text_.validation[0]}) {
    for (std::size_t i = 0; i < part->size(); i += 7) (*part)[i] = text_.end_of_text;
  }
  text_.write(folder_ / "set");
  config_.document_mask = true;
  const std::string apart = run(config_);
  EXPECT_EQ(run(resuming()), apart);
  config_.out.clear();
  Trainer trainer(config_);
  const double loss = trainer.evaluate().validation_loss;
  EXPECT_EQ(trainer.evaluate(folder_ / "set").validation_loss, loss) << "in the same way";
  config_.threads = 7;
  EXPECT_EQ(run(config_), apart) << "whatever the workers are";
  config_.document_mask = false;
  EXPECT_NE(run(config_), apart);
  config_.document_mask = true;
  config_.data = folder_ / "set/train-00000.bin";
  EXPECT_TRUE(has(complaint(config_), "which token ends a document")) << complaint(config_);
}

TEST_F(DataSetRun, ATokenizerThatWasChangedIsRefused) {
  DataSetText::file(folder_ / "set", "tokenizer.json", "{}");
  EXPECT_TRUE(has(complaint(config_), "tokenizer.json")) << complaint(config_);
}

TEST_F(DataSetRun, OfBytesMakesAByteModel) {
  text_.kind = "bytes";
  text_.vocabulary = 257;
  text_.end_of_text = 256;
  text_.train = {DataSetText::squares(500, 257)};
  text_.validation = {};
  text_.write(folder_ / "bytes");
  config_.data = folder_ / "bytes";
  run(config_);
  Model model = Model::load(folder_ / "run");
  EXPECT_TRUE(model.byte_tokens());
  EXPECT_TRUE(has(read_text_file(folder_ / "run/final/tokenizer.json"), "ByteLevel"));
  std::string text;
  model.generate_text("a", 3, {}, [&](const std::string& piece) {
    text += piece;
    return true;
  });
  EXPECT_LE(text.size(), 3u);
}

}  // namespace
}  // namespace cllm
