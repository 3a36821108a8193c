// A new model has the sizes that are given, and of a known model those that are not.
#include "config/new_model.h"

#include <gtest/gtest.h>

#include "cllm/error.h"
#include "cllm/options.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

using Given = std::vector<std::pair<std::string, std::string>>;

TrainConfig config_of(const Given& given) {
  TrainConfig config;
  config.data = "data";
  config.out = "run";
  set_options(config, given);
  return config;
}

ModelConfig model_of(const Given& given) { return new_model(config_of(given), 32, 50304); }

TEST(NewModel, HasTheSizesThatAreGiven) {
  const ModelConfig model = model_of({{"layers", "3"},
                                      {"heads", "6"},
                                      {"dim", "96"},
                                      {"dropout", "0.25"},
                                      {"no-bias", "true"},
                                      {"symmetry", "5"}});
  ModelConfig wanted{3, 6, 96, 32, 50304};
  wanted.bias = false;
  wanted.symmetry_order = 5;
  wanted.dropout = {0.25, 0.25, 0.25};
  EXPECT_TRUE(model == wanted);
}

TEST(NewModel, OfAPresetHasItsSizes) {
  const ModelConfig gpt2 = model_of({{"preset", "gpt2"}});
  EXPECT_TRUE(gpt2 == (ModelConfig{12, 12, 768, 32, 50304}));
  const ModelConfig wider = model_of({{"preset", "gpt2"}, {"layers", "4"}});
  EXPECT_EQ(wider.layers, 4) << "given, though it is the default";
  EXPECT_EQ(wider.width, 768);
}

TEST(NewModel, WhatFollowsFromGivenSizesIsNotThePresets) {
  const ModelConfig wider = model_of({{"preset", "gpt2"}, {"dim", "512"}, {"heads", "8"}});
  EXPECT_TRUE(wider == (ModelConfig{12, 8, 512, 32, 50304}));
  const ModelConfig llama = model_of({{"preset", "smollm2-135m"}, {"heads", "8"}});
  EXPECT_EQ(llama.key_value_heads(), 8);
  EXPECT_EQ(llama.head_width(), 72);
  EXPECT_EQ(llama.hidden(), 1536);
  EXPECT_EQ(model_of({{"preset", "qwen3-0.6b"}, {"dim", "512"}}).head_width(), 128);
}

TEST(NewModel, ALlamaIsOneThatTransformersOpens) {
  const Given odd = {{"family", "llama"}, {"dim", "72"}, {"heads", "5"}, {"head-dim", "16"}};
  EXPECT_THROW(model_of(odd), InputError);
  Given qwen = odd;
  qwen[0].second = "qwen3";
  EXPECT_EQ(model_of(qwen).query_width(), 80);
}

TEST(NewModel, APresetIsFilledOnce) {
  for (const std::string& name : preset_names()) {
    const TrainConfig once = with_preset(config_of({{"preset", name}, {"heads", "4"}}));
    const TrainConfig twice = with_preset(once);
    for (const Option& option : options()) {
      EXPECT_EQ(option_text(once, option), option_text(twice, option)) << name << option.name;
    }
    EXPECT_EQ(once.heads, 4);
  }
  TrainConfig resumed = config_of({{"preset", "gpt2"}});
  resumed.resume = "run";
  EXPECT_EQ(with_preset(resumed).layers, TrainConfig{}.layers) << "what it has, it has";
}

/// Parameters as the models' cards have them, with their own vocabularies.
TEST(NewModel, PresetsAreTheModelsTheyAreCalledAfter) {
  const struct {
    const char* name;
    std::int64_t vocabulary, context, parameters;
  } cases[] = {{"gpt2", 50257, 1024, 124439808},         {"gpt2-medium", 50257, 1024, 354823168},
               {"gpt2-large", 50257, 1024, 774030080},   {"smollm2-135m", 49152, 8192, 134515008},
               {"smollm2-360m", 49152, 8192, 361821120}, {"qwen2.5-0.5b", 151936, 32768, 494032768},
               {"qwen3-0.6b", 151936, 40960, 596049920}};
  for (const auto& c : cases) {
    const TrainConfig config = with_preset(config_of({{"preset", c.name}}));
    ModelConfig model{config.layers, config.heads, config.width, c.context, c.vocabulary};
    model.family = *family_named(config.family);
    model.kv_heads = config.kv_heads;
    model.head_dim = config.head_dim;
    model.hidden_dim = config.hidden;
    EXPECT_EQ(parameter_count(model), c.parameters) << c.name;
  }
}

TEST(NewModel, OnlyGpt2DropsInThreePlaces) {
  EXPECT_TRUE(dropout_of(Family::kGpt2, 0.5) == (DropoutRates{0.5, 0.5, 0.5}));
  EXPECT_TRUE(dropout_of(Family::kQwen3, 0.5) == (DropoutRates{0, 0.5, 0}));
}

TEST(NewModel, WhatCannotBeIsRefused) {
  const auto complaint = [](const Given& given) {
    return message_of<InputError>([&] { check(config_of(given)); });
  };
  EXPECT_TRUE(has(complaint({{"kv-heads", "3"}}),
                  "--kv-heads: heads of keys do not divide the heads: got 3, expected 2 or 4"))
      << complaint({{"kv-heads", "3"}});
  EXPECT_TRUE(has(complaint({{"heads", "3"}}), "--heads: heads do not divide the width"));
  EXPECT_EQ(complaint({{"heads", "3"}, {"head-dim", "64"}}), "");
  EXPECT_EQ(complaint({{"preset", "gpt2"}}), "");
  EXPECT_TRUE(has(complaint({{"preset", "gpt2"}, {"heads", "10"}, {"head-dim", "auto"}}),
                  "--heads: heads do not divide the width: got 10, expected 8 or 12"));
}

}  // namespace
}  // namespace cllm
