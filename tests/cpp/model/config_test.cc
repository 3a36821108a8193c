// A config tells what it stands for, counts the weights of known models, and is refused by name.
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "cllm/error.h"
#include "cllm/model_config.h"
#include "has.h"

namespace cllm {
namespace {

ModelConfig gpt2() { return {12, 12, 768, 1024, 50257}; }

ModelConfig smollm2() {
  ModelConfig model{30, 9, 576, 8192, 49152};
  model.family = Family::kLlama;
  model.kv_heads = 3;
  model.hidden_dim = 1536;
  model.rope_theta = 1e5;
  return model;
}

ModelConfig qwen3() {
  ModelConfig model{28, 16, 1024, 40960, 151936};
  model.family = Family::kQwen3;
  model.kv_heads = 8;
  model.head_dim = 128;
  model.hidden_dim = 3072;
  return model;
}

TEST(ModelConfig, FollowsTheFamilyWhereNothingIsGiven) {
  const ModelConfig model{2, 4, 128, 64, 257};
  EXPECT_EQ(model.head_width(), 32);
  EXPECT_EQ(model.key_value_heads(), 4);
  EXPECT_EQ(model.hidden(), 512);
  EXPECT_EQ(model.activation(), Activation::kGeluNew);
  EXPECT_EQ(model.norm_epsilon(), 1e-5);
  ModelConfig llama = model;
  llama.family = Family::kLlama;
  EXPECT_EQ(llama.hidden(), 384) << "8/3 of 128 is 341";
  EXPECT_EQ(llama.activation(), Activation::kSilu);
  EXPECT_EQ(llama.norm_epsilon(), 1e-6);
  ModelConfig as_smollm2 = smollm2();
  as_smollm2.hidden_dim = 0;
  EXPECT_EQ(as_smollm2.hidden(), 1536);
}

TEST(ModelConfig, EqualsWhatItStandsFor) {
  const ModelConfig model = gpt2();
  ModelConfig written = model;
  written.kv_heads = 12;
  written.head_dim = 64;
  written.hidden_dim = 3072;
  written.activation_kind = Activation::kGeluNew;
  written.epsilon = 1e-5;
  EXPECT_TRUE(model == written);
  const std::vector<std::function<void(ModelConfig&)>> changes = {
      [](ModelConfig& c) { c.family = Family::kLlama; },
      [](ModelConfig& c) { c.kv_heads = 4; },
      [](ModelConfig& c) { c.head_dim = 32; },
      [](ModelConfig& c) { c.hidden_dim = 3071; },
      [](ModelConfig& c) { c.activation_kind = Activation::kRelu; },
      [](ModelConfig& c) { c.epsilon = 1e-6; },
      [](ModelConfig& c) { c.rope_theta = 5e5; },
      [](ModelConfig& c) { c.rope_scaling = Llama3Scaling{}; },
      [](ModelConfig& c) { c.tied_head = false; },
      [](ModelConfig& c) { c.initializer_range = 0.01; },
      [](ModelConfig& c) { c.scale_by_layer = true; },
      [](ModelConfig& c) { c.bias = false; },
      [](ModelConfig& c) { c.dropout.residual = 0.1; }};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    ModelConfig other = model;
    changes[i](other);
    EXPECT_FALSE(model == other) << "change " << i;
  }
}

TEST(ModelConfig, CountsTheWeightsOfKnownModels) {
  EXPECT_EQ(parameter_count(gpt2()), 124439808);
  EXPECT_EQ(parameter_count(smollm2()), 134515008);
  EXPECT_EQ(parameter_count(qwen3()), 596049920);
  ModelConfig qwen2{24, 14, 896, 32768, 151936};
  qwen2.family = Family::kQwen2;
  qwen2.kv_heads = 2;
  qwen2.hidden_dim = 4864;
  EXPECT_EQ(parameter_count(qwen2), 494032768);
  qwen2.tied_head = false;
  EXPECT_EQ(parameter_count(qwen2), 494032768 + 151936 * 896);
}

TEST(ModelConfig, NamesAreThoseOfConfigJson) {
  for (const Family family : {Family::kGpt2, Family::kLlama, Family::kQwen2, Family::kQwen3}) {
    EXPECT_EQ(family_named(family_name(family)), family);
  }
  EXPECT_EQ(family_named("mistral"), std::nullopt);
  for (const Activation activation :
       {Activation::kGeluNew, Activation::kGelu, Activation::kRelu, Activation::kSilu}) {
    EXPECT_EQ(activation_named(activation_name(activation)), activation);
  }
  EXPECT_EQ(activation_named("swish"), std::nullopt);
}

std::string complaint(const ModelConfig& config) {
  try {
    check(config);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

struct Refusal {
  ModelConfig (*model)();
  std::function<void(ModelConfig&)> change;
  const char* wanted;
};

TEST(ModelConfig, RefusesWhatNoModelOfTheFamilyIs) {
  const std::vector<Refusal> refusals = {
      {gpt2, [](ModelConfig& c) { c.heads = 5; }, "the heads do not divide the width"},
      {gpt2, [](ModelConfig& c) { c.kv_heads = 4; }, "4 heads of keys"},
      {gpt2, [](ModelConfig& c) { c.head_dim = 32; }, "12 heads of width 32"},
      {gpt2, [](ModelConfig& c) { c.activation_kind = Activation::kSilu; }, "silu"},
      {gpt2, [](ModelConfig& c) { c.hidden_dim = -1; }, "hidden"},
      {gpt2, [](ModelConfig& c) { c.epsilon = -1; }, "norm epsilon"},
      {gpt2, [](ModelConfig& c) { c.initializer_range = 0; }, "initializer_range"},
      {gpt2, [](ModelConfig& c) { c.symmetry_order = 0; }, "symmetry: too small"},
      {gpt2, [](ModelConfig& c) { c.symmetry_order = 4097; }, "at most 4096"},
      {smollm2, [](ModelConfig& c) { c.kv_heads = 2; }, "9 heads, 2 of keys"},
      {smollm2, [](ModelConfig& c) { c.kv_heads = 18; }, "kv-heads"},
      {smollm2, [](ModelConfig& c) { c.head_dim = 63; }, "an even width"},
      {smollm2, [](ModelConfig& c) { c.head_dim = 1 << 16; }, "heads"},
      {smollm2, [](ModelConfig& c) { c.activation_kind = Activation::kGelu; }, "gelu"},
      {smollm2, [](ModelConfig& c) { c.scale_by_layer = true; }, "scale_attn_by_inverse"},
      {smollm2, [](ModelConfig& c) { c.rope_theta = 0; }, "rope-theta"},
      {smollm2, [](ModelConfig& c) { c.rope_scaling = {8, 4, 4, 8192}; }, "high_freq_factor"},
      {smollm2, [](ModelConfig& c) { c.rope_scaling = {8, 1, 4, 0}; }, "original_max_position"},
  };
  for (const ModelConfig& known : {gpt2(), smollm2(), qwen3()}) EXPECT_EQ(complaint(known), "");
  for (const Refusal& refusal : refusals) {
    ModelConfig config = refusal.model();
    refusal.change(config);
    EXPECT_TRUE(has(complaint(config), refusal.wanted)) << complaint(config);
  }
}

}  // namespace
}  // namespace cllm
