// Trainer state and whole checkpoints are read back completely; damaged ones are refused.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/files.h"
#include "checkpoint/checkpoint_folder.h"
#include "checkpoint/checkpoint_set.h"
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

/// No two fields alike, and numbers that a double would round.
TrainerState some_state() {
  TrainerState state;
  state.step = 9007199254740993;
  state.tokens = 9007199254740995;
  state.optimizer_step = 9007199254740997;
  state.seed = -9007199254740999;
  state.rate = 0.1;
  state.config = "lr = 1e-3\n[model]\nname = \"\u00fc\"\n";
  state.model.layers = 1;
  state.model.heads = 2;
  state.model.width = 6;
  state.model.context = 5;
  state.model.vocabulary = 260;
  state.model.symmetry_order = 7;
  state.model.dropout = {0.25, 0.1, 0.3};
  state.data = {9223372036854775807u, "whole"};
  state.isa = "avx2";
  state.gemm = "native avx2";
  state.cpu_model = "a CPU";
  state.precision = "bf16";
  state.version = "9.8.7";
  return state;
}

void expect_equal(const TrainerState& a, const TrainerState& b) {
  EXPECT_EQ(a.step, b.step);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.optimizer_step, b.optimizer_step);
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.rate, b.rate);
  EXPECT_EQ(a.config, b.config);
  EXPECT_TRUE(a.model == b.model);
  EXPECT_EQ(a.byte_tokens, b.byte_tokens);
  EXPECT_TRUE(a.data == b.data);
  EXPECT_EQ(a.isa, b.isa);
  EXPECT_EQ(a.gemm, b.gemm);
  EXPECT_EQ(a.cpu_model, b.cpu_model);
  EXPECT_EQ(a.precision, b.precision);
  EXPECT_EQ(a.version, b.version);
}

TEST(TrainerState, EveryFieldComesBack) {
  TrainerState state = some_state();
  expect_equal(parse_trainer_state(trainer_state_json(state), "x"), state);
  state.model.bias = false;
  state.byte_tokens = false;
  state.rate = {};
  expect_equal(parse_trainer_state(trainer_state_json(state), "x"), state);
}

TEST(TrainerState, KeepsTheWholeModel) {
  TrainerState state = some_state();
  ModelConfig& model = state.model;
  model.family = Family::kQwen3;
  model.kv_heads = 1;
  model.head_dim = 8;
  model.hidden_dim = 11;
  model.epsilon = 3e-6;
  model.rope_theta = 5e5;
  model.rope_scaling = Llama3Scaling{32, 1.5, 3.5, 4096};
  model.tied_head = false;
  model.initializer_range = 0.041;
  EXPECT_TRUE(parse_trainer_state(trainer_state_json(state), "x").model == model);
  model = some_state().model;
  model.activation_kind = Activation::kRelu;
  model.scale_by_layer = true;
  EXPECT_TRUE(parse_trainer_state(trainer_state_json(state), "x").model == model);

  Json older = Json::parse(trainer_state_json(some_state()));
  for (const char* key :
       {"family", "kv_heads", "head_dim", "hidden", "activation", "norm_epsilon", "rope_theta",
        "rope_scaling", "tied_head", "initializer_range", "scale_by_layer"}) {
    older["model"].erase(key);
  }
  EXPECT_TRUE(parse_trainer_state(older.dump(), "x").model == some_state().model);
}

TEST(TrainerState, EveryFieldMustBeThere) {
  const Json whole = Json::parse(trainer_state_json(some_state()));
  for (const auto& [key, value] : whole.items()) {
    // Older versions wrote none of these.
    if (key == "rate_scale" || key == "rate" || key == "data_path" || key == "weights") {
      continue;
    }
    if (key.rfind("validation", 0) == 0) continue;
    Json json = whole;
    json.erase(key);
    const std::string message =
        message_of<InputError>([&] { parse_trainer_state(json.dump(), "here"); });
    EXPECT_TRUE(has(message, "here") && has(message, key)) << message;
  }
  Json newer = whole;
  newer["format"] = 2;
  EXPECT_TRUE(has(message_of<InputError>([&] { parse_trainer_state(newer.dump(), "x"); }),
                  "unknown format"));
  EXPECT_THROW(parse_trainer_state("{", "x"), InputError);
}

TEST(TrainerState, NamesDataByTheHashOfTheWholeOrAsOlderVersionsDid) {
  TrainerState state = some_state();
  const Json data = Json::parse(trainer_state_json(state))["data"];
  EXPECT_EQ(data, (Json{{"size", 9223372036854775807u}, {"sha256", "whole"}}));
  state.data = {5, "", "first", "last"};
  EXPECT_EQ(Json::parse(trainer_state_json(state))["data"],
            (Json{{"size", 5}, {"first_sha256", "first"}, {"last_sha256", "last"}}));
  EXPECT_EQ(parse_trainer_state(trainer_state_json(state), "x").data, state.data);
}

class Checkpoint : public testing::Test {
 protected:
  Checkpoint() : layout_(state_.model) {
    for (std::vector<float>* buffer : {&parameters_, &first_, &second_}) {
      buffer->resize(static_cast<std::size_t>(layout_.flat_size()));
    }
    for (const TensorEntry& entry : layout_.tensors()) {
      for (std::int64_t i = entry.offset; i < entry.offset + entry.size; ++i) {
        const auto at = static_cast<std::size_t>(i);
        parameters_[at] = static_cast<float>(i + 1);
        first_[at] = -static_cast<float>(i + 1);
        second_[at] = 0.5f * static_cast<float>(i + 1);
      }
    }
    write_checkpoint(folder_, state_, layout_, parameters_.data(),
                     both_moments<const float>(first_.data(), second_.data()));
  }
  std::string complaint() {
    std::vector<float> p(parameters_.size(), 3), m = p, v = p;
    const std::string message = message_of<InputError>(
        [&] { read_checkpoint(folder_, layout_, p.data(), both_moments(m.data(), v.data())); });
    EXPECT_EQ(p, std::vector<float>(p.size(), 3)) << "buffers were touched";
    return message;
  }

  TemporaryFolder root_;
  const TrainerState state_ = some_state();
  const ParameterLayout layout_;
  std::vector<float> parameters_, first_, second_;
  const std::string folder_ = root_ / checkpoint_name(500);
};

TEST_F(Checkpoint, ComesBackWhole) {
  EXPECT_EQ(fs::path(folder_).filename(), "step-00000500");
  expect_equal(read_trainer_state(folder_), state_);
  std::vector<float> p(parameters_.size(), 3), m = p, v = p;
  expect_equal(read_checkpoint(folder_, layout_, p.data(), both_moments(m.data(), v.data())),
               state_);
  EXPECT_EQ(p, parameters_);
  EXPECT_EQ(m, first_);
  EXPECT_EQ(v, second_);
}

TEST_F(Checkpoint, EqualStatesAreEqualFiles) {
  write_checkpoint(root_ / "again", state_, layout_, parameters_.data(),
                   both_moments<const float>(first_.data(), second_.data()));
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    EXPECT_EQ(read_text_file(entry.path().string()), read_text_file(root_ / "again/" + name))
        << name;
  }
}

/// 0.1 is no number of 16 bits.
TEST_F(Checkpoint, WeightsThatAreRoundedForOthersComeBackExactly) {
  std::vector<float> exact = parameters_;
  for (float& weight : exact) weight = weight == 0 ? 0 : weight * 0.1f;
  TrainerState state = state_;
  for (const WeightType type : {WeightType::kBfloat16, WeightType::kFloat16}) {
    state.weights = type;
    const std::string folder = root_ / option_name(type);
    write_checkpoint(folder, state, layout_, exact.data(),
                     both_moments<const float>(first_.data(), second_.data()));
    std::vector<float> p(exact.size(), 3), m = p, v = p;
    const TrainerState found =
        read_checkpoint(folder, layout_, p.data(), both_moments(m.data(), v.data()));
    EXPECT_EQ(found.weights, type);
    EXPECT_EQ(p, exact);
    EXPECT_EQ(v, second_);
    read_model_parameters(folder, layout_, p.data());
    EXPECT_NE(p, exact);
    for (std::size_t i = 0; i < p.size(); ++i) EXPECT_NEAR(p[i], exact[i], exact[i] * 0x1p-8);
  }
}

TEST_F(Checkpoint, WeightsThatFitNoHalfAreSavedWhole) {
  std::vector<float> large = parameters_;
  large[3] = 7e4f;
  TrainerState state = state_;
  state.weights = WeightType::kFloat16;
  const std::string note =
      write_checkpoint(root_ / "large", state, layout_, large.data(),
                       both_moments<const float>(first_.data(), second_.data()));
  EXPECT_EQ(note, "the weights are saved as fp32, not as fp16: " + layout_.tensors()[0].name +
                      " has a number that is too large for it");
  std::vector<float> p(large.size()), m = p, v = p;
  const TrainerState found =
      read_checkpoint(root_ / "large", layout_, p.data(), both_moments(m.data(), v.data()));
  EXPECT_EQ(found.weights, WeightType::kFloat32);
  EXPECT_EQ(p, large);
}

// The coefficients of a lattice are beside the moments alone, in 32 bits.
TEST_F(Checkpoint, LargeCoefficientsWidenNoWeights) {
  const ParameterLayout coupled(state_.model, true);
  const auto flat = static_cast<std::size_t>(coupled.flat_size());
  std::vector<float> weights(flat, 0.5f), first(flat), second(flat);
  const TensorEntry& w = coupled.tensors().back();
  std::fill_n(weights.begin() + w.offset, w.size, 1e6f);
  const std::vector<float> embedding(
      static_cast<std::size_t>(coupled.tensors()[coupled.token_tensor()].size), 0.25f);
  TrainerState state = state_;
  state.weights = WeightType::kFloat16;
  const std::string folder = root_ / "coupled";
  EXPECT_EQ(write_checkpoint(folder, state, coupled, weights.data(),
                             both_moments<const float>(first.data(), second.data()), {},
                             embedding.data()),
            "");
  std::vector<float> p(flat), m(flat), v(flat), e(embedding.size());
  const TrainerState found =
      read_checkpoint(folder, coupled, p.data(), both_moments(m.data(), v.data()), e.data());
  EXPECT_EQ(found.weights, WeightType::kFloat16);
  EXPECT_EQ(p[static_cast<std::size_t>(w.offset)], 1e6f);
  EXPECT_EQ(e, embedding);
}

TEST_F(Checkpoint, DamageAnywhereIsFound) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    names.push_back(entry.path().filename().string());
  }
  EXPECT_EQ(names.size(), 8u);
  for (const std::string& name : names) {
    const std::string path = folder_ + "/" + name;
    const std::string bytes = read_text_file(path);
    std::string damaged = bytes;
    damaged[bytes.size() / 2] = static_cast<char>(damaged[bytes.size() / 2] ^ 1);
    root_.file(checkpoint_name(500) + "/" + name, damaged);
    EXPECT_NE(complaint(), "") << name;
    fs::remove(path);
    EXPECT_NE(complaint(), "") << name << " missing";
    root_.file(checkpoint_name(500) + "/" + name, bytes);
  }
  EXPECT_TRUE(verify_folder(folder_)) << "the test left it as it was";
}

TEST_F(Checkpoint, AModelAloneCannotBeResumed) {
  write_model_folder(root_ / "model", state_.model, layout_, parameters_.data(), true);
  EXPECT_TRUE(has(message_of<InputError>([&] { read_trainer_state(root_ / "model"); }), "--init"));
}

}  // namespace
}  // namespace cllm
