// Runs that train adapters: they are one answer on any number of workers and however often they are
// resumed, only beside the model that they belong to, and a loaded adapter is that model.
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <vector>

#include "base/files.h"
#include "checkpoint/checkpoint_folder.h"
#include "cllm/error.h"
#include "cllm/model.h"
#include "cllm/trainer.h"
#include "has.h"
#include "small_run.h"
#include "temporary_folder.h"
#include "watchdog.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

class LoraRun : public testing::Test {
 protected:
  LoraRun() {
    std::string text;
    for (int i = 0; i < 90; ++i) text += "Beside what stays something small is learned. ";
    data_ = folder_.file("data.txt", text);
    base_ = model("base", 1);
  }

  /// Makes a model folder; another seed makes other weights.
  std::string model(const char* name, std::int64_t seed, std::int64_t width = 16) const {
    ModelConfig config{2, 2, width, 16, 257};
    config.family = Family::kLlama;
    Model::create(config, seed, true, 1).save(folder_ / name);
    return folder_ / name;
  }
  TrainConfig config(const char* out) const {
    TrainConfig c = small_run(data_, folder_ / out);
    c.init = base_;
    c.lora = true;
    c.lora_rank = 4;
    c.lora_dropout = 0.1;
    c.learning_rate = 0.01;
    c.steps = 6;
    c.save_every = 2;
    c.threads = 0;
    c.workers = "2";
    return c;
  }
  TrainConfig resumed(const std::string& from, const char* workers) const {
    TrainConfig c;
    c.resume = from;
    c.activate_all = true;
    c.workers = workers;
    return c;
  }
  static std::string trained(const TrainConfig& config) {
    TrainObserver quiet;
    Trainer trainer(config);
    trainer.run(quiet);
    return trainer.weights_hash();
  }
  static std::string refusal(const TrainConfig& config) {
    return message_of<InputError>([&] { Trainer trainer(config); });
  }

  const Watchdog watchdog_{"runs of adapters", std::chrono::seconds(120)};
  const TemporaryFolder folder_;
  std::string data_, base_;
};

TEST_F(LoraRun, IsTheSameOnAnyNumberOfWorkersAndWhereverItIsResumed) {
  const std::string hash = trained(config("run"));
  TrainConfig many = config("many");
  many.workers = "7";
  EXPECT_EQ(trained(many), hash);
  for (const char* step : {"step-00000002", "step-00000004"}) {
    for (const char* workers : {"1", "3", "13"}) {
      TrainConfig again = resumed(folder_ / ("run/checkpoints/" + std::string(step)), workers);
      again.out = folder_ / (std::string(step) + workers);
      EXPECT_EQ(trained(again), hash) << step << " on " << workers;
    }
  }
  EXPECT_FALSE(fs::exists(folder_ / "run/final/model.safetensors"));
  EXPECT_FALSE(fs::exists(folder_ / "run/final/config.json"));
}

TEST_F(LoraRun, ChangesTheModelAndNotItsFolder) {
  const std::string before = read_text_file(base_ + "/model.safetensors");
  trained(config("run"));
  EXPECT_EQ(read_text_file(base_ + "/model.safetensors"), before);
  const std::vector<std::int32_t> tokens = {66, 101, 115, 105, 100, 101};
  const auto logits = [&](Model loaded) {
    std::vector<float> out(tokens.size() * 257);
    loaded.logits({tokens.data(), 1, static_cast<std::int64_t>(tokens.size())}, out.data());
    return out;
  };
  const std::vector<float> adapted = logits(Model::load(folder_ / "run", 1));
  EXPECT_NE(adapted, logits(Model::load(base_, 1)));
  EXPECT_EQ(adapted, logits(Model::load(base_, 1, folder_ / "run"))) << "the base is named";
  EXPECT_EQ(adapted, logits(Model::load(folder_ / "run/final", 2)));
  EXPECT_EQ(Model::load(folder_ / "run", 1).folder(), folder_ / "run/final");
  Model::load(folder_ / "run", 1).save(folder_ / "merged");
  EXPECT_EQ(adapted, logits(Model::load(folder_ / "merged", 1)));
}

TEST_F(LoraRun, EvaluatesAsTheMergedModelDoes) {
  TrainConfig c = config("run");
  c.eval_tokens = 0;
  TrainObserver quiet;
  Trainer trainer(c);
  trainer.run(quiet);
  const double adapted = trainer.evaluate(data_).validation_loss;
  const double merged = Model::load(folder_ / "run", 1).evaluate(data_).validation_loss;
  EXPECT_NEAR(adapted, merged, 1e-5 * merged);
  const double base = Model::load(base_, 1).evaluate(data_).validation_loss;
  EXPECT_LT(adapted, base);
}

TEST_F(LoraRun, GoesOnOnlyBesideItsModel) {
  const std::string hash = trained(config("run"));
  const std::string half = folder_ / "run/checkpoints/step-00000004";
  const auto again = [&](const char* out) {
    TrainConfig c = resumed(half, "2");
    c.out = folder_ / out;
    return c;
  };
  TrainConfig other = again("other");
  other.init = model("another", 2);
  EXPECT_TRUE(has(refusal(other), "not the model beside which the run trained its adapters"))
      << refusal(other);
  other.init = model("wide", 2, 32);
  EXPECT_TRUE(has(refusal(other), "another shape")) << refusal(other);

  fs::rename(base_, folder_ / "moved");
  EXPECT_TRUE(has(refusal(again("gone")), "the model is gone")) << refusal(again("gone"));
  EXPECT_TRUE(has(refusal(again("gone")), "--init FOLDER")) << refusal(again("gone"));
  TrainConfig moved = again("on");
  moved.init = folder_ / "moved";
  EXPECT_EQ(trained(moved), hash);
  EXPECT_EQ(trained(resumed(folder_ / "on", "1")), hash) << "its config.toml knows the new place";
  EXPECT_TRUE(has(message_of<InputError>([&] { Model::load(folder_ / "run"); }),
                  "the model is not here that this adapter was trained beside: got " + base_));
}

// The run names its base by a folder, whose weights may be others by now.
TEST_F(LoraRun, IsAddedToTheWeightsThatItWasTrainedBesideUnlessTheyAreNamed) {
  trained(config("run"));
  model("base", 2);
  const std::string said = message_of<InputError>([&] { Model::load(folder_ / "run", 1); });
  EXPECT_TRUE(has(said, base_ + ": the weights changed since this adapter was trained")) << said;
  EXPECT_TRUE(has(said, "--adapter")) << said;
  Model::load(base_, 1, folder_ / "run");
}

TEST_F(LoraRun, IsNotReplacedByARunThatStartsFromItsAdapter) {
  trained(config("run"));
  TrainConfig c = config("run");
  c.overwrite = true;
  c.lora_init = folder_ / "run";
  EXPECT_TRUE(has(refusal(c), "holds what the new one starts from")) << refusal(c);
  EXPECT_TRUE(fs::exists(folder_ / "run/final/adapter_model.safetensors"));
}

TEST_F(LoraRun, StartsFromAnAdapter) {
  const std::string hash = trained(config("first"));
  TrainConfig c = config("second");
  c.lora_init = folder_ / "first";
  c.lora_rank = 8;
  c.given.insert("lora-rank");
  Trainer trainer(c);
  EXPECT_EQ(trainer.config().lora_rank, 4);
  std::string notes;
  for (const std::string& note : trainer.notes()) notes += note;
  EXPECT_TRUE(has(notes, "--lora-rank 8 is not used: the adapter given as --lora-init has 4"))
      << notes;
  EXPECT_EQ(trainer.weights_hash(), hash);
}

TEST_F(LoraRun, BeginsWithAdaptersOfItsSeed) {
  TrainConfig c = config("run");
  Trainer trainer(c);
  const std::string start = trainer.weights_hash();
  c.seed = 5;
  c.out = folder_ / "seeded";
  EXPECT_NE(Trainer(c).weights_hash(), start);
  trainer.step();
  EXPECT_NE(trainer.weights_hash(), start);
  const std::vector<Tensor> adapters = trainer.parameters();
  EXPECT_EQ(adapters.size(), 2u * 7 * 2);
  EXPECT_EQ(adapters[0].name, "model.layers.0.self_attn.q_proj.lora_A.weight");
}

TEST_F(LoraRun, WhatMakesNoSenseIsRefused) {
  const auto with = [&](const std::function<void(TrainConfig&)>& change) {
    TrainConfig c = config("run");
    change(c);
    return refusal(c);
  };
  EXPECT_TRUE(has(with([](TrainConfig& c) { c.init.clear(); }),
                  "--lora: adapters are trained beside a model that is there"));
  EXPECT_TRUE(has(with([](TrainConfig& c) { c.lora = false; }), "--lora-rank: no adapters"));
  EXPECT_TRUE(has(with([](TrainConfig& c) { c.lattice = true; }), "--lattice"));
  EXPECT_TRUE(has(with([](TrainConfig& c) { c.lora_rank = 17; }), "--lora-rank: no rank"));
  EXPECT_TRUE(has(with([](TrainConfig& c) { c.lora_targets = "q_proj, c_attn"; }),
                  "--lora-targets: the model has no linear map of this name: got \"c_attn\""));
  EXPECT_TRUE(has(with([](TrainConfig& c) { c.lora_targets = ","; }), "no targets"));
  EXPECT_TRUE(has(with([&](TrainConfig& c) { c.lora_init = base_; }), "no adapter here"));
  trained(config("run"));
  TrainConfig c = config("next");
  c.init = folder_ / "run";
  EXPECT_TRUE(has(refusal(c), "--init: this is an adapter, not a model")) << refusal(c);
  EXPECT_TRUE(has(refusal(c), "--lora-init " + folder_ / "run")) << refusal(c);
  EXPECT_TRUE(has(message_of<InputError>([&] { Model::load(folder_ / "run", 1, folder_ / "run"); }),
                  "an adapter is added to a whole model"));
  EXPECT_TRUE(has(message_of<InputError>([&] { Model::load(base_, 1, base_); }), "a whole model"));
  const std::string wide = model("wide", 1, 32);
  EXPECT_TRUE(has(message_of<InputError>([&] { Model::load(wide, 1, folder_ / "run"); }),
                  "was it trained beside this model?"));
}

}  // namespace
}  // namespace cllm
