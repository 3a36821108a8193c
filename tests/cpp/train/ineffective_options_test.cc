// A note names each option that changes nothing, and says why; options that have an effect get
// none.
#include "setup/ineffective_options.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "cllm/model.h"
#include "cllm/options.h"
#include "setup/run_plan.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

using Given = std::vector<std::pair<const char*, std::string>>;

class IneffectiveOptions : public ::testing::Test {
 protected:
  IneffectiveOptions() {
    text_ = folder_.file("text.txt", std::string(4000, 'a') + "bcd");
    ModelConfig model;
    model.layers = 2;
    model.heads = 2;
    model.width = 16;
    model.context = 64;
    model.vocabulary = 257;
    model.bias = false;
    Model::create(model, 1, true, 1).save(folder_ / "model");
  }

  /// The notes of a small run with these options, one a line.
  std::string notes(const Given& given) const {
    TrainConfig config;
    const auto set = [&](const char* name, const std::string& value) {
      set_option(config, name, value);
    };
    set("data", text_);
    set("out", folder_ / "run");
    set("steps", "50");
    set("workers", "1");
    for (const auto& [name, value] : given) set(name, value);
    std::string text;
    for (const std::string& note : ineffective_options(config, plan_run(config))) {
      text += note + "\n";
    }
    return text;
  }

  TemporaryFolder folder_;
  std::string text_;
};

TEST_F(IneffectiveOptions, WhatHasAnEffectIsNotSaid) {
  EXPECT_EQ(notes({}), "");
  EXPECT_EQ(notes({{"schedule", "constant"}}), "");
  EXPECT_EQ(notes({{"schedule", "constant"}, {"min-lr", "auto"}}), "");
  EXPECT_EQ(notes({{"schedule", "wsd"}, {"min-lr", "1e-5"}, {"warmup", "49"}}), "");
  EXPECT_EQ(notes({{"val", text_}, {"keep", "5"}, {"save-every", "10"}, {"keep-best", "true"}}),
            "");
  EXPECT_EQ(notes({{"layers", "3"}, {"routing", "round_robin"}, {"positions", "2"}}), "");
  EXPECT_EQ(notes({{"init", folder_ / "model"}, {"layers", "2"}, {"no-bias", "true"}}), "");
  EXPECT_EQ(notes({{"lattice", "true"}, {"lattice-lr", "2"}}), "");
}

TEST_F(IneffectiveOptions, EachOfTheOthersIs) {
  EXPECT_EQ(notes({{"lattice-lr", "2"}}),
            "--lattice-lr 2.0 is not used: tokens are coupled only with --lattice\n");
  EXPECT_EQ(notes({{"schedule", "constant"}, {"min-lr", "1e-5"}}),
            "--min-lr 1e-05 is not used: the constant schedule stays at lr\n");
  EXPECT_EQ(notes({{"warmup", "50"}}),
            "--warmup 50 is not below the 50 steps of the run: the rate never reaches lr\n");
  EXPECT_EQ(notes({{"lr", "1e-60"}, {"min-lr", "0"}}),
            "--lr 1e-60 is 0 in float: no weight will change\n");
  EXPECT_NE(notes({{"lr", "20"}}).find("above 1"), std::string::npos);
  EXPECT_EQ(notes({{"skip-limit", "0"}, {"on-divergence", "rollback"}}),
            "--on-divergence rollback is not used: --skip-limit is 0, so that no run counts as "
            "diverged\n");
  EXPECT_EQ(notes({{"val", text_}, {"eval-every", "0"}, {"keep-best", "true"}}),
            "--val " + text_ +
                " is not used: --eval-every is 0\n"
                "--keep-best true is not used: nothing is evaluated\n");
  EXPECT_EQ(notes({{"keep", "2"}, {"save-every", "0"}}),
            "--keep 2 is not used: --save-every is 0\n")
      << "given as its default";
  EXPECT_EQ(
      notes({{"save-every", "50"}}),
      "--save-every 50 is not used: the run has 50 steps, and its end is saved in any case\n");
  EXPECT_EQ(notes({{"routing", "round_robin"}, {"positions", "1"}}),
            "--routing round_robin is not used: the step has one position\n");
}

TEST_F(IneffectiveOptions, AModelThatIsGivenIsNotMadeAnother) {
  const std::string init = folder_ / "model";
  EXPECT_EQ(notes({{"init", init}, {"kv-heads", "2"}, {"hidden", "64"}, {"head-dim", "8"}}), "");
  EXPECT_EQ(notes({{"init", init}, {"preset", "gpt2"}, {"family", "llama"}, {"hidden", "65"}}),
            "--preset gpt2 is not used: the model given as --init has its own sizes\n"
            "--family llama is not used: the model given as --init has gpt2\n"
            "--hidden 65 is not used: the model given as --init has 64\n");
  EXPECT_EQ(notes({{"rope-theta", "100"}}),
            "--rope-theta 100.0 is not used: a GPT-2 learns its positions\n");
}

TEST_F(IneffectiveOptions, AModelThatIsGivenHasItsOwnShape) {
  EXPECT_EQ(notes({{"init", folder_ / "model"},
                   {"layers", "4"},
                   {"heads", "4"},
                   {"dim", "128"},
                   {"no-bias", "false"}}),
            "--layers 4 is not used: the model given as --init has 2\n"
            "--heads 4 is not used: the model given as --init has 2\n"
            "--dim 128 is not used: the model given as --init has 16\n"
            "--no-bias false is not used: the model given as --init has true\n")
      << "4, 4 and 128 are defaults, but they were given";
}

TEST_F(IneffectiveOptions, ARunSaysThemAtItsStart) {
  TrainConfig config;
  config.data = text_;
  config.out = folder_ / "run";
  config.steps = 50;
  config.schedule = "constant";
  config.min_learning_rate = 1e-5;  // without set_option
  bool said = false;
  for (const std::string& note : plan_run(config).notes) {
    said = said || note.find("--min-lr") != std::string::npos;
  }
  EXPECT_TRUE(said);
}

}  // namespace
}  // namespace cllm
