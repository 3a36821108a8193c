// Model folders are written and read; a model that cannot run is refused with its reason.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/files.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "checkpoint/byte_tokenizer.h"
#include "checkpoint/manifest.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/model_weights.h"
#include "cllm/error.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// Sizes that leave padding between tensors.
ModelConfig small_model() {
  ModelConfig config{2, 3, 15, 7, 261};
  config.symmetry_order = 5;
  config.dropout = {0.125, 0.25, 0.5};
  return config;
}

/// Distinct values in every tensor, zeros in the padding.
std::vector<float> some_parameters(const ParameterLayout& layout) {
  std::vector<float> values(static_cast<std::size_t>(layout.flat_size()));
  for (const TensorEntry& entry : layout.tensors()) {
    if (entry.frozen) continue;
    for (std::int64_t i = entry.offset; i < entry.offset + entry.size; ++i) {
      values[static_cast<std::size_t>(i)] = 1.0f + static_cast<float>(i) * 0x1p-16f;
    }
  }
  return values;
}

class ModelFolder : public testing::Test {
 protected:
  void write(bool byte_tokens = true, const ExtraFiles& extra = {}) {
    write_model_folder(folder_, config_, layout_, parameters_.data(), byte_tokens, extra);
  }
  /// Writes the weights file anew with other tensors, as another program would: no manifest.
  void rewrite_weights(const std::vector<TensorView>& tensors) {
    fs::remove(folder_ + "/manifest.json");
    std::string bytes;
    emit_safetensors(tensors, [&](const void* data, std::size_t size) {
      bytes.append(static_cast<const char*>(data), size);
    });
    root_.file("model/model.safetensors", bytes);
  }
  void change_config(const std::string& key, const Json& value) {
    fs::remove(folder_ + "/manifest.json");
    Json json = Json::parse(read_text_file(folder_ + "/config.json"));
    json[key] = value;
    root_.file("model/config.json", json.dump());
  }
  std::vector<float> read() {
    std::vector<float> out(parameters_.size(), -1.0f);
    read_model_parameters(folder_, layout_, out.data());
    return out;
  }
  std::string complaint() {
    return message_of<InputError>([this] { read(); });
  }

  TemporaryFolder root_;
  const std::string folder_ = root_ / "model";
  const ModelConfig config_ = small_model();
  const ParameterLayout layout_{config_};
  const std::vector<float> parameters_ = some_parameters(layout_);
};

TEST_F(ModelFolder, ReadsWhatItWrote) {
  write(true, {{"README.md", "a model"}});
  const ModelDescription found = read_model_config(folder_);
  EXPECT_TRUE(found.config == config_);
  EXPECT_TRUE(found.byte_tokens);
  EXPECT_EQ(read(), parameters_);
  EXPECT_EQ(read_text_file(folder_ + "/README.md"), "a model");
  EXPECT_TRUE(verify_folder(folder_));
  EXPECT_EQ(weights_sha256(layout_, parameters_.data()),
            hex(sha256(read_text_file(folder_ + "/model.safetensors"))));
}

TEST_F(ModelFolder, ModelsOfOtherTokensHaveNoTokenizerOfOurs) {
  write(false);
  EXPECT_FALSE(read_model_config(folder_).byte_tokens);
  EXPECT_FALSE(fs::exists(folder_ + "/tokenizer.json"));
  EXPECT_TRUE(Json::parse(read_text_file(folder_ + "/config.json"))["eos_token_id"].is_null());
}

TEST_F(ModelFolder, KeepsBiasesFrozen) {
  ModelConfig config = config_;
  config.bias = false;
  const ParameterLayout layout(config);
  const std::vector<float> parameters = some_parameters(layout);
  write_model_folder(folder_, config, layout, parameters.data(), true);
  EXPECT_FALSE(read_model_config(folder_).config.bias);
  std::vector<float> out(parameters.size());
  read_model_parameters(folder_, layout, out.data());
  EXPECT_EQ(out, parameters);

  rewrite_weights(model_views(layout, parameters_.data()));  // every bias set
  EXPECT_TRUE(
      has(message_of<InputError>([&] { read_model_parameters(folder_, layout, out.data()); }),
          "bias in a model without biases"));
}

TEST_F(ModelFolder, AcceptsWhatTransformersWrites) {
  write();
  std::vector<TensorView> tensors;
  for (TensorView view : model_views(layout_, parameters_.data())) {
    view.name = view.name.substr(std::strlen("transformer."));
    tensors.push_back(view);
  }
  const std::vector<float> mask(49, 1.0f);
  tensors.push_back({"h.0.attn.bias", {1, 1, 7, 7}, mask.data()});
  tensors.push_back({"h.1.attn.masked_bias", {}, mask.data()});
  tensors.push_back({"lm_head.weight", layout_.tensors().front().shape, tensors.front().data});
  rewrite_weights(tensors);
  EXPECT_EQ(read(), parameters_);
}

TEST_F(ModelFolder, ATiedHeadMustBeTheEmbedding) {
  write();
  std::vector<TensorView> tensors = model_views(layout_, parameters_.data());
  const TensorEntry& embedding = layout_.tensors().front();
  std::vector<float> head(parameters_.data(), parameters_.data() + embedding.size);
  tensors.push_back({"lm_head.weight", embedding.shape, head.data()});
  rewrite_weights(tensors);
  EXPECT_EQ(read(), parameters_);
  head.back() += 1;
  rewrite_weights(tensors);
  EXPECT_TRUE(has(complaint(), "output head of its own"));
}

TEST_F(ModelFolder, WeightsMustFitTheConfig) {
  write();
  const std::vector<TensorView> tensors = model_views(layout_, parameters_.data());
  std::vector<TensorView> fewer(tensors.begin(), tensors.end() - 1);
  rewrite_weights(fewer);
  EXPECT_TRUE(has(complaint(), "transformer.ln_f.bias"));
  std::vector<TensorView> more = tensors;
  more.push_back({"transformer.h.2.ln_1.weight", {15}, parameters_.data()});
  rewrite_weights(more);
  EXPECT_TRUE(has(complaint(), "transformer.h.2.ln_1.weight"));
  std::vector<TensorView> turned = tensors;
  std::swap(turned[4].shape[0], turned[4].shape[1]);
  rewrite_weights(turned);
  EXPECT_TRUE(has(complaint(), "got [45, 15], expected [15, 45]")) << complaint();
  fs::remove(folder_ + "/model.safetensors");
  EXPECT_TRUE(has(complaint(), "no weights here"));
}

TEST_F(ModelFolder, DamageIsFoundBeforeUse) {
  write();
  std::string weights = read_text_file(folder_ + "/model.safetensors");
  weights.back() = static_cast<char>(weights.back() ^ 1);
  root_.file("model/model.safetensors", weights);
  EXPECT_TRUE(has(complaint(), "model.safetensors: bytes differ from the manifest in MiB 0"));
}

TEST(ByteTokenizer, EachByteHasItsOwnEntry) {
  const Json json = Json::parse(byte_tokenizer_json());
  const Json& vocabulary = json["model"]["vocab"];
  EXPECT_EQ(vocabulary.size(), 257u);  // equal spellings would have merged
  // The alphabet of byte-level BPE, as GPT-2's own vocabulary spells it.
  EXPECT_EQ(vocabulary["A"], 65);
  EXPECT_EQ(vocabulary["\u0120"], 32);   // space
  EXPECT_EQ(vocabulary["\u010a"], 10);   // line feed
  EXPECT_EQ(vocabulary["\u00e9"], 233);  // visible in Latin-1: itself
  EXPECT_EQ(vocabulary["\u0142"], 160);  // no-break space
  EXPECT_EQ(vocabulary["\u0143"], 173);  // soft hyphen, the last of the replaced
  EXPECT_EQ(vocabulary["<|endoftext|>"], 256);
  EXPECT_TRUE(json["added_tokens"].empty()) << "no text is split where that name stands in it";
}

}  // namespace
}  // namespace cllm
