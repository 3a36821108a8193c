// Files that were made to do harm are refused at once, each with one short line, and nothing large
// is allocated before.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/crc32c.h"
#include "base/files.h"
#include "base/json_text.h"
#include "checkpoint/carried_files.h"
#include "checkpoint/checkpoint_folder.h"
#include "checkpoint/manifest.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/model_weights.h"
#include "cllm/error.h"
#include "has.h"
#include "moments.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

ModelConfig small_model() { return {1, 2, 6, 5, 260}; }

std::string nested(std::size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

std::string safetensors(const std::string& header, std::size_t data = 0) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header +
         std::string(data, '\0');
}

/// A checkpoint of a model of other people's tokens, whose files tests replace.
class HostileFolder : public testing::Test {
 protected:
  HostileFolder() : layout_(state_.model) {
    state_.byte_tokens = false;
    for (std::vector<float>* buffer : {&parameters_, &first_, &second_}) {
      buffer->resize(static_cast<std::size_t>(layout_.flat_size()));
      for (const TensorEntry& entry : layout_.tensors()) {
        std::fill_n(buffer->begin() + entry.offset, entry.size, 0.5f);
      }
    }
    write();
  }
  void write(const ExtraFiles& extra = {}) {
    fs::remove_all(folder_);
    write_checkpoint(folder_, state_, layout_, parameters_.data(),
                     both_moments<const float>(first_.data(), second_.data()), extra);
  }
  /// As another program would write it: nothing vouches for the files.
  void replace(const std::string& name, const std::string& bytes) {
    fs::remove(folder_ + "/manifest.json");
    root_.file("run/" + name, bytes);
  }
  std::string complaint() {
    std::vector<float> p(parameters_.size()), m = p, v = p;
    return message_of<InputError>([&] {
      read_model_config(folder_);
      read_checkpoint(folder_, layout_, p.data(), both_moments(m.data(), v.data()));
    });
  }
  std::string model_complaint() {
    std::vector<float> p(parameters_.size());
    return message_of<InputError>([&] {
      read_model_config(folder_);
      read_model_parameters(folder_, layout_, p.data());
    });
  }

  TemporaryFolder root_;
  const std::string folder_ = root_ / "run";
  TrainerState state_ = [] {
    TrainerState state;
    state.model = small_model();
    return state;
  }();
  const ParameterLayout layout_;
  std::vector<float> parameters_, first_, second_;
};

TEST_F(HostileFolder, DeepNestingIsRefusedEverywhere) {
  const std::string deep = nested(100'000), inside = R"({"model_type": )" + deep + "}";
  EXPECT_EQ(complaint(), "") << "whole at first";
  for (const std::string& text :
       {deep, inside, std::string(300'000, '['), R"({"a":)" + std::string(200'000, '{')}) {
    for (const char* name : {"config.json", "generation_config.json"}) {
      write();
      replace(name, text);
      EXPECT_TRUE(has(model_complaint(), name)) << model_complaint();
    }
    write();
    root_.file("run/manifest.json", text);
    EXPECT_TRUE(has(complaint(), "manifest.json")) << complaint();
    root_.file("run/trainer_state.json", text);
    EXPECT_TRUE(has(message_of<InputError>([&] { read_trainer_state(folder_); }), "nested"));
    replace("model.safetensors", safetensors(text));
    const std::string message =
        message_of<InputError>([&] { SafetensorsFile file(folder_ + "/model.safetensors"); });
    EXPECT_NE(message, "");
    EXPECT_LT(message.size(), 1000u);
  }
  // A value that nobody asks for may be as deep as it likes: it costs a bit a level.
  const std::string header = R"({"__metadata__":)" + deep + "}";
  const SafetensorsFile file(root_.file("x", safetensors(header)));
  EXPECT_TRUE(file.tensors().empty());
}

TEST(JsonText, LimitsAreExact) {
  const std::string deepest = nested(kMostJsonDepth), string = "\"[[[[\\\"[[\"";
  check_json_text(deepest, "x");
  check_json_text("[" + string + "]", "x");
  EXPECT_THROW(check_json_text("[" + deepest + "]", "x"), InputError);
  std::string keys = "{";
  for (std::size_t i = 0; i < kMostJsonKeys; ++i) keys += "\"a\":1,";
  check_json_text(keys, "x");
  EXPECT_TRUE(has(message_of<InputError>([&] { check_json_text(keys + "\"a\":1", "x"); }), "keys"));
  EXPECT_THROW(check_json_text(std::string(kMostJsonBytes + 1, ' '), "x"), InputError);
}

TEST(Safetensors, ManyNamesTakeLinearTime) {
  const TemporaryFolder root;
  const auto with_names = [](std::size_t count) {
    std::string header = "{";
    for (std::size_t i = 0; i < count; ++i) {
      header += (i > 0 ? ",\"t" : "\"t") + std::to_string(i) +
                R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
    }
    return safetensors(header + "}");
  };
  const std::string path = root.file("many", with_names(400'000));
  const auto begin = std::chrono::steady_clock::now();
  const SafetensorsFile file(path);
  EXPECT_EQ(file.tensors().size(), 400'000u);
  for (int i = 0; i < 400'000; ++i) ASSERT_NE(file.find("t" + std::to_string(i)), nullptr);
  EXPECT_EQ(file.find("u"), nullptr);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(took.count(), 10) << "quadratic time would be minutes";
}

TEST_F(HostileFolder, SizesAreCheckedBeforeTheyAreAllocated) {
  Json config = Json::parse(config_json(small_model(), false));
  const auto with = [&](const char* key, std::int64_t value) {
    Json changed = config;
    changed[key] = value;
    replace("config.json", changed.dump());
    return model_complaint();
  };
  EXPECT_TRUE(has(with("vocab_size", 1 << 24), "than the weights can hold"));
  EXPECT_TRUE(has(with("n_layer", 1 << 14), "than the weights can hold"));
  EXPECT_TRUE(has(with("vocab_size", (1 << 24) + 1), "\"vocab_size\""));
  config["n_embd"] = kMostWidth;
  config["n_layer"] = kMostLayers;
  EXPECT_TRUE(has(with("n_positions", 8), "too large"));
}

TEST(ModelConfigCheck, LimitsHoldAloneAndTogether) {
  const auto complaint = [](ModelConfig config) {
    return message_of<InputError>([&] { check(config); });
  };
  ModelConfig config = small_model();
  EXPECT_EQ(complaint(config), "");
  EXPECT_EQ(parameter_count(config), ParameterLayout(config).parameters());
  config.vocabulary = std::int64_t{1} << 62;
  EXPECT_TRUE(has(complaint(config), "vocab"));
  config.vocabulary = kMostVocabulary;
  EXPECT_EQ(complaint(config), "");
  config = {kMostLayers, 2, kMostWidth, kMostContext, kMostVocabulary};
  EXPECT_TRUE(has(complaint(config), "100000000000")) << complaint(config);
  config.width = std::numeric_limits<std::int64_t>::max() / 2 * 2;
  EXPECT_EQ(parameter_count(config), std::numeric_limits<std::int64_t>::max());
  EXPECT_TRUE(has(complaint(config), "dim"));
  EXPECT_TRUE(has(
      message_of<InputError>([] { check_parameters_fit({1000, 2, 9000, 64, 50000}, 16, "here"); }),
      "does not fit in memory"));
}

TEST_F(HostileFolder, TheManifestMustListWhatIsNeeded) {
  const auto with_files = [&](const Json& files) {
    const std::string dumped = files.dump();
    char sum[9];
    std::snprintf(sum, sizeof sum, "%08x", crc32c(dumped.data(), dumped.size()));
    const Json manifest = {
        {"format", 1}, {"chunk_bytes", kChunkBytes}, {"files_crc32c", sum}, {"files", files}};
    root_.file("run/manifest.json", manifest.dump());
  };
  const Json whole = Json::parse(read_text_file(folder_ + "/manifest.json"))["files"];
  with_files(whole);
  EXPECT_EQ(complaint(), "") << "the test writes manifests as a save does";
  with_files(Json::object());
  EXPECT_TRUE(has(complaint(), "lists no files")) << complaint();
  EXPECT_TRUE(has(model_complaint(), "lists no files"));
  with_files(Json::array());
  EXPECT_NE(complaint(), "");
  for (const char* name :
       {"config.json", "model.safetensors", "optimizer.safetensors", "trainer_state.json"}) {
    Json files = whole;
    files.erase(name);
    with_files(files);
    EXPECT_TRUE(has(complaint(), std::string("\"") + name + "\"")) << complaint();
  }
  root_.file("secret", "x");
  for (const char* name : {"../secret", "/etc/passwd", "..", ".", "", "a/b", "manifest.json"}) {
    Json files = whole;
    files[name] = {{"size", 1}, {"crc32c", {"00000000"}}};
    with_files(files);
    EXPECT_TRUE(has(complaint(), "no file of the folder")) << name << ": " << complaint();
  }
  Json files = whole;
  files["config.json"]["size"] = -1;
  with_files(files);
  EXPECT_TRUE(has(complaint(), "bad size"));
}

TEST_F(HostileFolder, AnEditedFileSaysHowToAcceptIt) {
  const std::string config = read_text_file(folder_ + "/config.json");
  root_.file("run/config.json", config + " ");
  EXPECT_TRUE(has(model_complaint(), "changed or damaged since it was written"));
  EXPECT_TRUE(has(model_complaint(), "delete manifest.json"));
  fs::remove(folder_ + "/manifest.json");
  EXPECT_EQ(model_complaint(), "") << "as the message says";
  EXPECT_TRUE(has(complaint(), "without a manifest")) << "but not to go on with the run";
}

TEST_F(HostileFolder, NumbersThatAreNoneAreRefused) {
  const TensorEntry& entry = layout_.tensors()[3];
  const auto at = static_cast<std::size_t>(entry.offset);
  const auto refused = [&](std::vector<float>& buffer, float value, const char* file) {
    buffer[at + 2] = buffer[at + 4] = value;
    write();
    const std::string message = complaint();
    std::fill_n(buffer.begin() + entry.offset, entry.size, 0.5f);
    EXPECT_TRUE(has(message, file)) << message;
    EXPECT_TRUE(has(message, entry.name)) << message;
    EXPECT_TRUE(has(message, "2 of 6, the first is number 2")) << message;
  };
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  refused(parameters_, std::nanf(""), "model.safetensors");
  refused(parameters_, -kInfinity, "model.safetensors");
  refused(first_, std::nanf(""), "optimizer.safetensors");
  refused(second_, kInfinity, "optimizer.safetensors");
  refused(second_, -1e-30f, "optimizer.safetensors");
  first_[at] = -1;
  second_[at] = -0.0f;
  write();
  EXPECT_EQ(complaint(), "");
}

TEST_F(HostileFolder, NumbersOfTheStateKeepToTheirRange) {
  const Json whole = Json::parse(trainer_state_json(state_));
  const auto complaint = [&](const char* part, const char* key, const char* value) {
    Json json = whole;
    (part[0] == '\0' ? json : json[part])[key] = Json::parse(value);
    return message_of<InputError>([&] { parse_trainer_state(json.dump(), "here"); });
  };
  for (const char* key : {"step", "tokens", "optimizer_step"}) {
    for (const char* value : {"-1", "1e300", "0.5", "18446744073709551615", "\"3\"", "[]"}) {
      EXPECT_TRUE(has(complaint("", key, value), key)) << key << " " << value;
    }
  }
  EXPECT_NE(complaint("model", "layers", "0"), "");
  EXPECT_EQ(complaint("model", "symmetry_order", "4096"), "");
  for (const char* value : {"0", "4097", "99999999999"}) {
    EXPECT_TRUE(has(complaint("model", "symmetry_order", value), "from 1 to 4096")) << value;
  }
  EXPECT_NE(complaint("data", "size", "-3"), "");
  EXPECT_EQ(complaint("", "seed", "-3"), "");
  for (const char* value : {"-1e-9", "\"fast\"", "[]"}) EXPECT_NE(complaint("", "rate", value), "");
}

TEST_F(HostileFolder, AHeadOfItsOwnIsNeverDropped) {
  const TensorEntry& embedding = layout_.tensors().front();
  std::vector<float> head(parameters_.data(), parameters_.data() + embedding.size);
  const auto with_head = [&](const char* name) {
    std::vector<TensorView> tensors = model_views(layout_, parameters_.data());
    tensors.push_back({name, embedding.shape, head.data()});
    std::string bytes;
    emit_safetensors(tensors, [&](const void* data, std::size_t size) {
      bytes.append(static_cast<const char*>(data), size);
    });
    replace("model.safetensors", bytes);
    return model_complaint();
  };
  EXPECT_EQ(with_head("lm_head.weight"), "") << "equal to the embedding";
  head[7] += 1;
  EXPECT_TRUE(has(with_head("lm_head.weight"), "output head of its own"));
  EXPECT_TRUE(has(with_head("transformer.lm_head.weight"), "output head of its own"));
  EXPECT_TRUE(has(with_head("wte.weight"), "under both of its names"));
}

TEST_F(HostileFolder, CarriesWhatTheFolderBrought) {
  const Json config = [&] {
    Json json = Json::parse(config_json(small_model(), false));
    json.erase("cllm");
    json["eos_token_id"] = {3, 4, 999};
    json["pad_token_id"] = 5;
    json["_name_or_path"] = "somebody/model";
    return json;
  }();
  const ExtraFiles brought = {{"config.json", config.dump()},
                              {"generation_config.json", R"({"eos_token_id": [7]})"},
                              {"tokenizer.json", "{ \"as\": \"it is\" }"},
                              {"chat_template.jinja", "{{ x }}"}};
  write(brought);
  const ExtraFiles carried = carried_files(folder_);
  for (const char* name : {"generation_config.json", "tokenizer.json", "chat_template.jinja"}) {
    ASSERT_NE(find_file(carried, name), nullptr) << name;
    EXPECT_EQ(*find_file(carried, name), *find_file(brought, name)) << name;
  }
  const Json kept = Json::parse(*find_file(carried, "config.json"));
  EXPECT_EQ(kept["pad_token_id"], 5);
  EXPECT_EQ(kept["eos_token_id"], config["eos_token_id"]);
  EXPECT_EQ(kept["_name_or_path"], "somebody/model");
  EXPECT_EQ(read_model_config(folder_).end_tokens, std::vector<std::int32_t>{7});
  write(carried);
  EXPECT_EQ(carried_files(folder_), carried) << "once more changes nothing";

  replace("generation_config.json", R"({"eos_token_id": null})");
  EXPECT_EQ(read_model_config(folder_).end_tokens, (std::vector<std::int32_t>{3, 4}));
  replace("generation_config.json", R"({"eos_token_id": 4})");
  EXPECT_EQ(read_model_config(folder_).end_tokens, std::vector<std::int32_t>{4});
  replace("generation_config.json", R"({"eos_token_id": "4"})");
  EXPECT_TRUE(has(model_complaint(), "eos_token_id"));
  write(carried);
  root_.file("run/tokenizer.json", "{ \"as\": \"it was\" }");
  EXPECT_TRUE(has(message_of<InputError>([&] { carried_files(folder_); }), "tokenizer.json"));
}

TEST_F(HostileFolder, ANameOfTheHubIsNoFolder) {
  const auto said = [](const std::string& name) {
    return message_of<InputError>([&] { resolve_model_folder(name); });
  };
  EXPECT_TRUE(has(said("gpt2"), "from_pretrained(\"gpt2\").save_pretrained(\"FOLDER\")"));
  EXPECT_TRUE(has(said("openai-community/gpt2-xl"), "from_pretrained(\"openai-community/gpt2-xl"));
  for (const char* path : {"/gpt2", "./gpt2", "a/b/gpt2", "gpt2/", "my model"}) {
    EXPECT_FALSE(has(said(path), "from_pretrained")) << path;
  }
}

TEST_F(HostileFolder, LinksInACircleAreBadInput) {
  fs::create_symlink("circle", root_ / "circle");
  EXPECT_TRUE(has(message_of<InputError>([&] { resolve_model_folder(root_ / "circle"); }),
                  "lead in a circle"));
  EXPECT_THROW(read_model_config(root_ / "circle"), InputError);
  EXPECT_THROW(read_trainer_state(root_ / "circle"), InputError);
  EXPECT_THROW(resolve_model_folder(std::string(5000, 'a')), InputError);
  for (const char* name : {"config.json", "model.safetensors", "generation_config.json"}) {
    write();
    fs::remove(folder_ + "/manifest.json");
    fs::remove(folder_ + "/" + name);
    fs::create_symlink(name, folder_ + "/" + name);
    EXPECT_TRUE(has(model_complaint(), "lead in a circle")) << model_complaint();
    fs::remove(folder_ + "/" + name);
  }
}

}  // namespace
}  // namespace cllm
