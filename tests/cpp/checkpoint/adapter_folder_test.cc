// The folder of an adapter: what PEFT writes is read, what it reads is written, and what is none or
// another kind is refused by its name.
#include "checkpoint/adapter_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "checkpoint/checkpoint_folder.h"
#include "cllm/error.h"
#include "has.h"
#include "moments.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

using Json = nlohmann::ordered_json;

/// As PEFT 0.17 writes it.
constexpr const char* kOfPeft = R"({
  "alpha_pattern": {}, "auto_mapping": null, "base_model_name_or_path": "/models/base",
  "bias": "none", "corda_config": null, "eva_config": null, "exclude_modules": null,
  "fan_in_fan_out": false, "inference_mode": true, "init_lora_weights": true,
  "layer_replication": null, "layers_pattern": null, "layers_to_transform": null,
  "loftq_config": {}, "lora_alpha": 32, "lora_bias": false, "lora_dropout": 0.05,
  "megatron_config": null, "megatron_core": "megatron.core", "modules_to_save": null,
  "peft_type": "LORA", "qalora_group_size": 16, "r": 16, "rank_pattern": {}, "revision": null,
  "target_modules": ["v_proj", "q_proj"], "target_parameters": null, "task_type": "CAUSAL_LM",
  "trainable_token_indices": null, "use_dora": false, "use_qalora": false, "use_rslora": true
})";

AdapterDescription parsed(const Json& json) {
  return parse_adapter_config(json.dump(), "adapter_config.json", [] {
    return std::vector<std::string>{"model.layers.0.self_attn.q_proj"};
  });
}

TEST(AdapterConfig, OfPeftIsRead) {
  const AdapterDescription found = parsed(Json::parse(kOfPeft));
  EXPECT_EQ(found.base, "/models/base");
  EXPECT_EQ(found.lora.rank, 16);
  EXPECT_EQ(found.lora.alpha, 32);
  EXPECT_EQ(found.lora.dropout, 0.05);
  EXPECT_TRUE(found.lora.rslora);
  EXPECT_EQ(found.lora.targets, (std::vector<std::string>{"v_proj", "q_proj"}));
}

TEST(AdapterConfig, APatternOfTargetsMeansThoseThatHaveTensors) {
  Json json = Json::parse(kOfPeft);
  const std::vector<std::string> in_the_file = {"model.layers.0.self_attn.q_proj"};
  json["target_modules"] = ".*\\.(q|v)_proj";
  EXPECT_EQ(parsed(json).lora.targets, in_the_file);
  json["target_modules"] = {"q_proj"};
  json["exclude_modules"] = "lm_head";
  EXPECT_EQ(parsed(json).lora.targets, in_the_file);
}

TEST(AdapterConfig, OtherKindsAreRefusedByTheirKey) {
  const std::vector<std::pair<const char*, Json>> others = {
      {"peft_type", "LOHA"},
      {"task_type", "SEQ_CLS"},
      {"bias", "all"},
      {"use_dora", true},
      {"use_qalora", true},
      {"lora_bias", true},
      {"rank_pattern", {{"q_proj", 4}}},
      {"alpha_pattern", {{"q_proj", 4}}},
      {"modules_to_save", "lm_head"},
      {"layer_replication", Json::parse("[[0, 2]]")},
      {"target_parameters", {"a"}},
      {"trainable_token_indices", {1}},
      {"init_lora_weights", "pissa_niter_4"},
      {"init_lora_weights", 3},
      {"r", 0},
      {"r", "8"},
      {"lora_alpha", -1},
      {"use_rslora", "yes"},
      {"target_modules", nullptr},
      {"target_modules", {1}}};
  for (const auto& [key, value] : others) {
    Json json = Json::parse(kOfPeft);
    json[key] = value;
    const std::string text = message_of<InputError>([&] { parsed(json); });
    EXPECT_TRUE(
        has(text, "adapter_config.json: adapter cannot be used here: \"" + std::string(key) + "\""))
        << key << ": " << text;
  }
  EXPECT_TRUE(
      has(message_of<InputError>([] { parse_adapter_config("{", "x", nullptr); }), "x: not JSON"));
}

class AdapterFolder : public testing::Test {
 protected:
  static ModelConfig model(Family family = Family::kLlama) {
    ModelConfig config{2, 2, 8, 8, 40};
    config.family = family;
    return config;
  }
  static LoraConfig lora() {
    LoraConfig config;
    config.rank = 3;
    config.alpha = 6;
    config.targets = {"q_proj", "down_proj"};
    return config;
  }
  AdapterFolder() : values_(static_cast<std::size_t>(layout_.trainables().flat_size())) {
    for (const TensorEntry& entry : layout_.trainables().tensors()) {
      for (std::int64_t i = entry.offset; i < entry.offset + entry.size; ++i) {
        values_[static_cast<std::size_t>(i)] = 0.1f * static_cast<float>(i + 1);
      }
    }
    state_.step = 7;
    state_.model = model();
    state_.data = {1, "of the whole", "", ""};
    state_.base = BaseModel{"/models/base", "0123abcd"};
    std::filesystem::create_directories(plain_);
  }
  void write(const std::string& folder) const {
    write_checkpoint(folder, state_, layout_, values_.data(),
                     both_moments(values_.data(), values_.data()));
  }
  /// Writes an adapter as others do, without a manifest: these tensors of the layout's.
  void write_plain(const std::vector<TensorView>& tensors, WeightType type = {}) {
    std::string bytes;
    emit_safetensors(
        tensors,
        [&](const void* data, std::size_t size) {
          bytes.append(static_cast<const char*>(data), size);
        },
        type);
    root_.file("plain/adapter_model.safetensors", bytes);
  }
  std::string complaint(const ParameterLayout& layout) const {
    std::vector<float> out(static_cast<std::size_t>(layout.trainables().flat_size()));
    return message_of<InputError>([&] { read_adapters(plain_, layout, out.data()); });
  }

  const TemporaryFolder root_;
  const std::string plain_ = root_ / "plain";
  const ParameterLayout layout_{model(), false, lora()};
  std::vector<float> values_;
  TrainerState state_;
};

TEST_F(AdapterFolder, OfACheckpointHoldsNothingOfTheModel) {
  const std::string folder = root_ / "step";
  write(folder);
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names,
            (std::vector<std::string>{"adapter_config.json", "adapter_model.safetensors",
                                      "manifest.json", "optimizer.safetensors", "tokenizer.json",
                                      "tokenizer_config.json", "trainer_state.json"}));
  EXPECT_TRUE(is_adapter_folder(folder));
  const SafetensorsFile file(folder + "/adapter_model.safetensors");
  EXPECT_EQ(file.tensors().size(), layout_.trainables().tensors().size());
  const StoredTensor* const b =
      file.find("base_model.model.model.layers.1.mlp.down_proj.lora_B.weight");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->shape, (std::vector<std::int64_t>{8, 3}));

  std::vector<float> w(values_.size(), 9), m = w, v = w;
  const TrainerState found =
      read_checkpoint(folder, layout_, w.data(), both_moments(m.data(), v.data()));
  EXPECT_EQ(w, values_);
  EXPECT_EQ(m, values_);
  ASSERT_TRUE(found.base.has_value());
  EXPECT_EQ(found.base->path, "/models/base");
  EXPECT_EQ(found.base->checksum, "0123abcd");
  EXPECT_TRUE(read_adapter_config(folder).lora == lora());
}

TEST_F(AdapterFolder, IsRoundedForOthersAndComesBackExactly) {
  state_.weights = WeightType::kBfloat16;
  write(root_ / "step");
  std::vector<float> w(values_.size()), m = w, v = w;
  read_checkpoint(root_ / "step", layout_, w.data(), both_moments(m.data(), v.data()));
  EXPECT_EQ(w, values_);
  read_adapters(root_ / "step", layout_, w.data());
  EXPECT_NE(w, values_);
}

TEST_F(AdapterFolder, SaysToPeftWhatItIs) {
  for (const Family family : {Family::kGpt2, Family::kLlama}) {
    LoraConfig all;
    all.rank = 4;
    all.alpha = 2.5;
    all.rslora = true;
    const ParameterLayout layout(model(family), false, all);
    const Json json = Json::parse(adapter_config_json(layout, "/a/b"));
    const bool gpt2 = family == Family::kGpt2;
    EXPECT_EQ(json["peft_type"], "LORA");
    EXPECT_EQ(json["task_type"], "CAUSAL_LM");
    EXPECT_EQ(json["base_model_name_or_path"], "/a/b");
    EXPECT_EQ(json["r"], 4);
    EXPECT_EQ(json["lora_alpha"], 2.5);
    EXPECT_EQ(json["use_rslora"], true);
    EXPECT_EQ(json["fan_in_fan_out"], gpt2);
    EXPECT_EQ(json["bias"], "none");
    EXPECT_EQ(json["inference_mode"], true);
    const Json wanted =
        gpt2 ? Json{"c_attn", "c_proj", "c_fc"}
             : Json{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
    EXPECT_EQ(json["target_modules"], wanted);
    EXPECT_EQ(ParameterLayout(model(family), false, parsed(json).lora).trainables().flat_size(),
              layout.trainables().flat_size());
  }
  const Json json = Json::parse(adapter_config_json(layout_, ""));
  EXPECT_EQ(json["lora_alpha"].type(), Json::value_t::number_unsigned) << "6, not 6.0";
  EXPECT_EQ(json["target_modules"], (Json{"q_proj", "down_proj"}));
}

TEST_F(AdapterFolder, ATiedEmbeddingIsStoredUnderBothNames) {
  LoraConfig with = lora();
  with.modules_to_save = {kEmbeddings};
  const ParameterLayout layout(model(), false, with);
  std::vector<float> values(static_cast<std::size_t>(layout.trainables().flat_size()), 0.5f);
  std::vector<float> head(static_cast<std::size_t>(40 * 8), 0.5f);
  const Json json = Json::parse(adapter_config_json(layout, ""));
  EXPECT_EQ(json["modules_to_save"], Json({"embed_tokens", "lm_head"}));
  EXPECT_EQ(json["ensure_weight_tying"], true);
  EXPECT_EQ(ParameterLayout(model(), false, parsed(json).lora).trainables().flat_size(),
            layout.trainables().flat_size());

  std::vector<TensorView> all = adapter_views(layout, values.data());
  EXPECT_EQ(all.back().name, "base_model.model.lm_head.weight");
  EXPECT_EQ(all[all.size() - 2].name, "base_model.model.model.embed_tokens.weight");
  write_plain(all);
  EXPECT_EQ(complaint(layout), "");
  head[319] = 0.25f;
  all.back().data = head.data();
  write_plain(all);
  EXPECT_TRUE(has(complaint(layout), "the head is not the token embedding")) << complaint(layout);
  all.pop_back();
  write_plain(all);
  EXPECT_TRUE(has(complaint(layout), "ensure_weight_tying")) << complaint(layout);
  EXPECT_TRUE(has(complaint(layout_), "does not belong")) << complaint(layout_);

  ModelConfig untied = model();
  untied.tied_head = false;
  const ParameterLayout two(untied, false, with);
  const Json both = Json::parse(adapter_config_json(two, ""));
  EXPECT_EQ(both["modules_to_save"], Json({"embed_tokens", "lm_head"}));
  EXPECT_FALSE(both.contains("ensure_weight_tying"));
}

TEST_F(AdapterFolder, EveryTypeOfFloatIsRead) {
  for (const WeightType type :
       {WeightType::kFloat32, WeightType::kBfloat16, WeightType::kFloat16}) {
    write_plain(adapter_views(layout_, values_.data()), type);
    std::vector<float> out(values_.size(), 9);
    read_adapters(plain_, layout_, out.data());
    for (std::size_t i = 0; i < out.size(); ++i) {
      EXPECT_NEAR(out[i], values_[i], values_[i] * 0x1p-8);
    }
  }
}

TEST_F(AdapterFolder, WhatDoesNotBelongIsRefused) {
  const std::vector<TensorView> all = adapter_views(layout_, values_.data());
  EXPECT_TRUE(has(complaint(layout_), "no adapter_model.safetensors"));
  root_.file("plain/adapter_model.bin", "PK");
  EXPECT_TRUE(has(complaint(layout_), "is a pickle"));

  write_plain({all.begin() + 1, all.end()});
  EXPECT_TRUE(has(complaint(layout_), "tensor is missing")) << complaint(layout_);
  EXPECT_TRUE(has(complaint(layout_), all[0].name));

  write_plain(all);
  EXPECT_EQ(complaint(layout_), "");
  LoraConfig other = lora();
  other.rank = 2;
  EXPECT_TRUE(
      has(complaint(ParameterLayout(model(), false, other)), "got [3, 8], expected [2, 8]"));
  ModelConfig wide = model();
  wide.width = 16;
  EXPECT_TRUE(has(complaint(ParameterLayout(wide, false, lora())), "another shape"));
  ModelConfig shallow = model();
  shallow.layers = 1;
  EXPECT_TRUE(has(complaint(ParameterLayout(shallow, false, lora())), "does not belong"));

  values_[5] = std::numeric_limits<float>::quiet_NaN();
  write_plain(all);
  EXPECT_TRUE(has(complaint(layout_), "nan")) << complaint(layout_);

  std::string bytes = read_text_file(plain_ + "/adapter_model.safetensors");
  for (std::size_t at = 0; (at = bytes.find("\"F32\"", at)) != bytes.npos;) {
    bytes.replace(at, 5, "\"I32\"");
  }
  root_.file("plain/adapter_model.safetensors", bytes);
  EXPECT_TRUE(has(complaint(layout_), "I32")) << complaint(layout_);
}

TEST_F(AdapterFolder, AnErrorNamesTheFileAndTheKey) {
  const auto said = [&](const LoraConfig& lora) {
    return message_of<InputError>([&] { check_adapter("folder", lora, model()); });
  };
  LoraConfig lora;
  lora.rank = 9;
  EXPECT_TRUE(has(said(lora), "folder/adapter_config.json: \"r\": no rank")) << said(lora);
  lora.rank = 8;
  lora.targets = {"c_attn"};
  EXPECT_TRUE(has(said(lora), "\"target_modules\": the model has no linear map")) << said(lora);
  lora.targets = {kAllLinear};
  lora.modules_to_save = {"norm"};
  EXPECT_TRUE(has(said(lora),
                  "\"modules_to_save\": the model has no embedding or head of this name: "
                  "got \"norm\", expected embeddings, embed_tokens, lm_head"))
      << said(lora);
}

std::string checksum(const ParameterLayout& layout, const float* weights) {
  WeightsChecksum sum;
  for (const TensorEntry& entry : layout.tensors()) sum.add(entry, weights);
  return sum.text();
}

TEST_F(AdapterFolder, TheChecksumIsOfEveryWeight) {
  std::vector<float> weights(static_cast<std::size_t>(layout_.flat_size()), 1);
  const std::string one = checksum(layout_, weights.data());
  for (const TensorEntry& entry : layout_.tensors()) {
    std::vector<float> other = weights;
    other[static_cast<std::size_t>(entry.offset + entry.size - 1)] = 2;
    EXPECT_NE(checksum(layout_, other.data()), one) << entry.name;
  }
}

}  // namespace
}  // namespace cllm
