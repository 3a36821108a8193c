// config.json of every family is read and written; what no model here can be is refused by its key.
#include "checkpoint/families/config_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "cllm/error.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

using Json = nlohmann::ordered_json;

ModelConfig small_gpt2() {
  ModelConfig config{2, 3, 15, 7, 261};
  config.symmetry_order = 5;
  config.dropout = {0.125, 0.25, 0.5};
  return config;
}

/// Odd sizes, and no number that is some family's default.
ModelConfig small(Family family) {
  if (family == Family::kGpt2) return small_gpt2();
  ModelConfig config{2, 6, 72, 33, 261};
  config.family = family;
  config.kv_heads = 2;
  config.head_dim = 16;
  config.hidden_dim = 200;
  config.epsilon = 1e-4;
  config.rope_theta = 5e5;
  config.initializer_range = 0.03;
  config.tied_head = family == Family::kQwen2;
  config.dropout.attention = 0.25;
  return config;
}

constexpr Family kAll[] = {Family::kGpt2, Family::kLlama, Family::kQwen2, Family::kQwen3};

ModelDescription parse(const Json& json) {
  return parse_config_json(json.dump(), "here/config.json");
}

std::string complaint(const Json& json) {
  return message_of<InputError>([&] { parse(json); });
}

Json json_of(const ModelConfig& config, bool byte_tokens = true) {
  return Json::parse(config_json(config, byte_tokens));
}

TEST(ConfigJson, ReadsWhatItWrote) {
  for (const Family family : kAll) {
    for (const bool byte_tokens : {true, false}) {
      const ModelDescription found = parse(json_of(small(family), byte_tokens));
      EXPECT_TRUE(found.config == small(family)) << family_name(family);
      EXPECT_EQ(found.byte_tokens, byte_tokens);
      EXPECT_EQ(found.end_tokens, std::vector<std::int32_t>(byte_tokens ? 1 : 0, kEndOfText));
    }
  }
}

TEST(ConfigJson, ReadsAndWritesTheVariantsOfGpt2) {
  ModelConfig config = small_gpt2();
  config.hidden_dim = 59;
  config.activation_kind = Activation::kRelu;
  config.epsilon = 1e-6;
  config.scale_by_layer = true;
  config.tied_head = false;
  config.bias = false;
  const Json json = json_of(config);
  EXPECT_TRUE(parse(json).config == config);
  EXPECT_EQ(json["n_inner"], 59);
  EXPECT_EQ(json["activation_function"], "relu");
  EXPECT_EQ(json["tie_word_embeddings"], false);
  Json other = json;
  other["activation_function"] = "gelu_pytorch_tanh";
  EXPECT_EQ(parse(other).config.activation(), Activation::kGeluNew);
}

TEST(ConfigJson, WritesOldAndNewKeys) {
  ModelConfig config = small(Family::kLlama);
  Json json = json_of(config);
  EXPECT_EQ(json["rope_theta"], 5e5);
  EXPECT_EQ(json["rope_parameters"]["rope_theta"], 5e5);
  EXPECT_TRUE(json["rope_scaling"].is_null());
  EXPECT_EQ(json["dtype"], "float32");
  EXPECT_EQ(json["torch_dtype"], "float32");
  EXPECT_EQ(json["architectures"], Json::array({"LlamaForCausalLM"}));
  config.rope_scaling = Llama3Scaling{32, 1, 4, 64};
  json = json_of(config);
  EXPECT_EQ(json["rope_scaling"]["rope_type"], "llama3");
  EXPECT_EQ(json["rope_parameters"]["factor"], 32);
  EXPECT_TRUE(parse(json).config == config);
  json.erase("rope_parameters");
  EXPECT_TRUE(parse(json).config == config) << "as older versions have it";
  json = json_of(config);
  json.erase("rope_scaling");
  json.erase("rope_theta");
  EXPECT_TRUE(parse(json).config == config) << "as version 5 has it";
  json = Json::parse(config_json(config, true, "", WeightType::kBfloat16));
  EXPECT_EQ(json["dtype"], "bfloat16");
  EXPECT_EQ(json["torch_dtype"], "bfloat16");
}

TEST(ConfigJson, ReadsPublishedGpt2) {
  const ModelDescription gpt2 = parse_config_json(
      R"({"activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"],
          "attn_pdrop": 0.1, "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256,
          "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "model_type": "gpt2",
          "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024,
          "resid_pdrop": 0.1, "vocab_size": 50257})",
      "config.json");
  EXPECT_EQ(gpt2.config.layers, 12);
  EXPECT_EQ(gpt2.config.width, 768);
  EXPECT_EQ(gpt2.config.hidden(), 3072);
  EXPECT_EQ(gpt2.config.context, 1024);
  EXPECT_EQ(gpt2.config.vocabulary, 50257);
  EXPECT_TRUE(gpt2.config.bias);
  EXPECT_EQ(gpt2.config.dropout.embedding, 0.1);
  EXPECT_TRUE(gpt2.config.tied_head);
  EXPECT_FALSE(gpt2.byte_tokens);
}

TEST(ConfigJson, ReadsPublishedSmolLm2) {
  const ModelDescription model = parse_config_json(
      R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
          "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 576,
          "initializer_range": 0.041666666666666664, "intermediate_size": 1536,
          "is_llama_config": true, "max_position_embeddings": 8192, "mlp_bias": false,
          "model_type": "llama", "num_attention_heads": 9, "num_hidden_layers": 30,
          "num_key_value_heads": 3, "pad_token_id": 2, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
          "rope_interleaved": false, "rope_scaling": null, "rope_theta": 100000,
          "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_cache": true,
          "vocab_size": 49152})",
      "config.json");
  EXPECT_EQ(model.config.head_width(), 64);
  EXPECT_EQ(model.config.key_value_heads(), 3);
  EXPECT_EQ(model.config.hidden(), 1536);
  EXPECT_EQ(model.config.rope_theta, 1e5);
  EXPECT_EQ(model.config.norm_epsilon(), 1e-5);
  EXPECT_TRUE(model.config.tied_head);
  EXPECT_EQ(model.end_tokens, std::vector<std::int32_t>{2});
  EXPECT_EQ(parameter_count(model.config), 134515008);
}

TEST(ConfigJson, ReadsPublishedQwen) {
  const char* const text =
      R"({"model_type": "qwen2", "attention_dropout": 0.0, "hidden_act": "silu",
          "hidden_size": 896, "initializer_range": 0.02, "intermediate_size": 4864,
          "max_position_embeddings": 32768, "max_window_layers": 24, "num_attention_heads": 14,
          "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06,
          "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true,
          "use_sliding_window": false, "vocab_size": 151936})";
  EXPECT_EQ(parameter_count(parse_config_json(text, "config.json").config), 494032768);
  Json qwen3 = Json::parse(text);
  qwen3["model_type"] = "qwen3";
  EXPECT_EQ(parse(qwen3).config.head_width(), 128) << "of every Qwen3 that does not say";
  qwen3["head_dim"] = 64;
  EXPECT_EQ(parse(qwen3).config.head_width(), 64);
  qwen3.erase("tie_word_embeddings");
  EXPECT_FALSE(parse(qwen3).config.tied_head);
}

TEST(ConfigJson, AbsentKeysAreThoseOfTheFamily) {
  Json json = json_of(small(Family::kLlama));
  for (const char* key : {"num_key_value_heads", "head_dim", "rms_norm_eps", "rope_theta", "cllm",
                          "rope_parameters", "tie_word_embeddings", "initializer_range"}) {
    json[key] = nullptr;
  }
  const ModelConfig config = parse(json).config;
  EXPECT_EQ(config.key_value_heads(), 6);
  EXPECT_EQ(config.head_width(), 12);
  EXPECT_EQ(config.norm_epsilon(), 1e-6);
  EXPECT_EQ(config.rope_theta, 1e4);
  EXPECT_FALSE(config.tied_head);
  EXPECT_EQ(config.initializer_range, 0.02);
  EXPECT_EQ(config.symmetry_order, ModelConfig{}.symmetry_order);
}

TEST(ConfigJson, KeepsTheKeysOfAModelThatCameWithIt) {
  for (const Family family : kAll) {
    const ModelConfig config = small(family);
    Json base = json_of(config, false);
    base.erase("cllm");
    base.erase("torch_dtype");
    base["dtype"] = "bfloat16";
    base["eos_token_id"] = {2, 3};
    base["pad_token_id"] = 3;
    base["layer_types"] = {"full_attention", "full_attention"};
    base["transformers_version"] = "5.0.0";
    if (family == Family::kGpt2) base["n_inner"] = 60;  // 4 C, said in full
    const Json written = Json::parse(config_json(config, false, base.dump()));
    for (const auto& [key, value] : base.items()) {
      if (key == "dtype") continue;
      EXPECT_EQ(written[key], value) << key;
    }
    EXPECT_EQ(written["dtype"], "float32");
    EXPECT_TRUE(parse(written).config == config);
    ModelConfig other = config;
    other.dropout.attention = 0.5;
    const Json changed = Json::parse(config_json(other, false, base.dump()));
    EXPECT_TRUE(parse(changed).config == other);
    EXPECT_EQ(changed["pad_token_id"], 3);
    EXPECT_EQ(changed["eos_token_id"], base["eos_token_id"]);
  }
}

TEST(ConfigJson, ABeginningOfAConfigIsKept) {
  const std::string written = config_json(small_gpt2(), false, R"({"eos_token_id": 4})");
  EXPECT_EQ(Json::parse(written)["eos_token_id"], 4);
  EXPECT_TRUE(parse(Json::parse(written)).config == small_gpt2());
}

struct Case {
  Family family;
  const char* key;
  const char* value;
  const char* complaint;
};

class Refused : public testing::TestWithParam<Case> {};

TEST_P(Refused, NamesTheKey) {
  const Case& c = GetParam();
  Json json = json_of(small(c.family));
  json[c.key] = Json::parse(c.value);
  const std::string message = complaint(json);
  EXPECT_TRUE(has(message, c.complaint)) << c.key << " " << c.value << " gave: " << message;
  EXPECT_TRUE(has(message, "here/config.json")) << message;
  EXPECT_EQ(message.find('\n'), message.npos);
}

constexpr Family kGpt2 = Family::kGpt2, kLlama = Family::kLlama, kQwen2 = Family::kQwen2,
                 kQwen3 = Family::kQwen3;

INSTANTIATE_TEST_SUITE_P(
    Of, Refused,
    testing::Values(
        Case{kGpt2, "model_type", "\"mamba\"",
             "\"model_type\": got \"mamba\", expected gpt2, llama, qwen2 or qwen3"},
        Case{kGpt2, "model_type", "null", "\"model_type\": got null"},
        Case{kGpt2, "model_type", "7", "\"model_type\": got 7"},
        Case{kGpt2, "activation_function", "\"gelu_fast\"", "expected gelu_new, gelu or relu"},
        Case{kGpt2, "activation_function", "\"silu\"", "expected gelu_new, gelu or relu"},
        Case{kGpt2, "activation_function", "\"\"", "expected gelu_new, gelu or relu"},
        Case{kGpt2, "n_inner", "0", "\"n_inner\": got 0"},
        Case{kGpt2, "layer_norm_epsilon", "0", "\"layer_norm_epsilon\""},
        Case{kGpt2, "scale_attn_weights", "false", "\"scale_attn_weights\": got false"},
        Case{kGpt2, "scale_attn_by_inverse_layer_idx", "1", "true or false"},
        Case{kGpt2, "add_cross_attention", "true", "\"add_cross_attention\""},
        Case{kGpt2, "n_layer", "0", "\"n_layer\": got 0"},
        Case{kGpt2, "n_layer", "null", "\"n_layer\": got null"},
        Case{kGpt2, "n_head", "4", "a divisor of n_embd = 15"},
        Case{kGpt2, "n_embd", "-15", "\"n_embd\""},
        Case{kGpt2, "n_positions", "1.5", "\"n_positions\""},
        Case{kGpt2, "vocab_size", "256", "at least 257"},
        Case{kGpt2, "vocab_size", "99999999999", "\"vocab_size\""},
        Case{kGpt2, "vocab_size", "18446744073709551615", "\"vocab_size\""},
        Case{kGpt2, "tie_word_embeddings", "1", "true or false"},
        Case{kGpt2, "attn_pdrop", "1.5", "\"attn_pdrop\": got 1.5, expected a number from 0"},
        Case{kGpt2, "embd_pdrop", "true", "a number from 0"},
        Case{kGpt2, "eos_token_id", "[\"x\"]", "a token, a list of tokens or null"},
        Case{kGpt2, "cllm", "[]", "an object"},
        Case{kGpt2, "cllm", "{\"symmetry_order\": 0, \"tokens\": \"ids\"}", "\"symmetry_order\""},
        Case{kGpt2, "cllm", "{\"symmetry_order\": 4097, \"tokens\": \"ids\"}", "to 4096"},
        Case{kGpt2, "cllm", "{\"symmetry_order\": 12, \"tokens\": \"words\"}",
             "\"bytes\" or \"ids\""},
        Case{kGpt2, "quantization_config", "{\"bits\": 4}", "\"quantization_config\""},
        Case{kLlama, "quantization_config", "{}", "\"quantization_config\""},
        Case{kLlama, "hidden_act", "\"gelu\"", "\"hidden_act\": got \"gelu\", expected silu"},
        Case{kLlama, "attention_bias", "true", "\"attention_bias\": got true"},
        Case{kLlama, "mlp_bias", "true", "\"mlp_bias\": got true, expected false"},
        Case{kLlama, "num_key_value_heads", "4", "a divisor of num_attention_heads = 6"},
        Case{kLlama, "num_key_value_heads", "0", "\"num_key_value_heads\": got 0"},
        Case{kLlama, "head_dim", "15", "\"head_dim\": got 15, expected an even number"},
        Case{kLlama, "head_dim", "131072", "in all heads together"},
        Case{kLlama, "hidden_size", "null", "\"hidden_size\": got null"},
        Case{kLlama, "intermediate_size", "null", "\"intermediate_size\""},
        Case{kLlama, "sliding_window", "4096", "\"sliding_window\": got 4096, expected none"},
        Case{kLlama, "num_local_experts", "8", "\"num_local_experts\""},
        Case{kLlama, "attn_logit_softcapping", "50.0", "\"attn_logit_softcapping\""},
        Case{kLlama, "partial_rotary_factor", "0.5", "\"partial_rotary_factor\": got 0.5"},
        Case{kLlama, "rope_theta", "0", "\"rope_theta\""},
        Case{kLlama, "rope_theta", "1e4", "the same as \"rope_theta\" beside"},
        Case{kLlama, "rope_theta", "\"big\"", "a number from"},
        Case{kLlama, "rope_scaling", "{\"type\": \"linear\", \"factor\": 2}",
             "\"type\": got \"linear\", expected default or llama3"},
        Case{kLlama, "rope_scaling", "{\"rope_type\": \"yarn\", \"factor\": 2}", "got \"yarn\""},
        Case{kLlama, "rope_scaling", "{\"rope_type\": \"llama3\", \"factor\": 2}",
             "\"low_freq_factor\": got null"},
        Case{kLlama, "rope_scaling",
             "{\"rope_type\": \"llama3\", \"factor\": 2, \"low_freq_factor\": 4, "
             "\"high_freq_factor\": 4}",
             "more than low_freq_factor"},
        Case{kLlama, "rope_scaling",
             "{\"rope_type\": \"llama3\", \"factor\": 2, \"low_freq_factor\": 1, "
             "\"high_freq_factor\": 4}",
             "the same as \"rope_parameters\""},
        Case{kLlama, "rope_parameters", "{\"rope_type\": \"longrope\"}", "got \"longrope\""},
        Case{kLlama, "rope_parameters", "{\"partial_rotary_factor\": 0.25}", "got 0.25"},
        Case{kLlama, "rope_parameters", "{\"full_attention\": {\"rope_theta\": 1}}",
             "\"full_attention\""},
        Case{kLlama, "rope_parameters", "7", "an object"},
        Case{kQwen2, "use_sliding_window", "true", "\"use_sliding_window\": got true"},
        Case{kQwen2, "layer_types", "[\"full_attention\", \"sliding_attention\"]",
             "full_attention in all layers"},
        Case{kQwen2, "layer_types", "7", "a list of texts"},
        Case{kQwen3, "num_experts", "128", "\"num_experts\": got 128"},
        Case{kQwen3, "attention_bias", "true", "\"attention_bias\""}));

TEST(ConfigJson, QwenSaysHowManyHeadsOfKeys) {
  Json json = json_of(small(kQwen2));
  json.erase("num_key_value_heads");
  EXPECT_TRUE(has(complaint(json), "\"num_key_value_heads\""));
  json["num_key_value_heads"] = nullptr;
  EXPECT_EQ(parse(json).config.key_value_heads(), 6);
}

TEST(ConfigJson, IsAnObject) {
  EXPECT_THROW(parse_config_json("{", "x"), InputError);
  EXPECT_THROW(parse_config_json("[]", "x"), InputError);
  EXPECT_TRUE(has(message_of<InputError>([] { parse_config_json("{\"vocab_size\": 7}", "x"); }),
                  "\"model_type\""));
}

}  // namespace
}  // namespace cllm
