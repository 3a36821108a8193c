#include "config/new_model.h"

#include <array>
#include <string>

#include "base/refuse.h"
#include "cllm/options.h"
#include "cllm/wording.h"

namespace cllm {
namespace {

struct Preset {
  const char* name;
  Family family;
  std::int64_t layers, heads, kv_heads, width, head_dim, hidden;
  double rope_theta, epsilon, deviation;  // of new weights
};

constexpr double kSmolLm = 1.0 / 24;  // SmolLM's initializer_range
constexpr std::array<Preset, 8> kPresets = {{
    {"gpt2", Family::kGpt2, 12, 12, 12, 768, 64, 3072, 1e4, 1e-5, 0.02},
    {"gpt2-medium", Family::kGpt2, 24, 16, 16, 1024, 64, 4096, 1e4, 1e-5, 0.02},
    {"gpt2-large", Family::kGpt2, 36, 20, 20, 1280, 64, 5120, 1e4, 1e-5, 0.02},
    {"shakespeare-char", Family::kGpt2, 6, 6, 6, 384, 64, 1536, 1e4, 1e-5, 0.02},
    {"smollm2-135m", Family::kLlama, 30, 9, 3, 576, 64, 1536, 1e5, 1e-5, kSmolLm},
    {"smollm2-360m", Family::kLlama, 32, 15, 5, 960, 64, 2560, 1e5, 1e-5, 0.02},
    {"qwen2.5-0.5b", Family::kQwen2, 24, 14, 2, 896, 64, 4864, 1e6, 1e-6, 0.02},
    {"qwen3-0.6b", Family::kQwen3, 28, 16, 8, 1024, 128, 3072, 1e6, 1e-6, 0.02},
}};

const Preset* find_preset(const std::string& name) {
  for (const Preset& preset : kPresets) {
    if (name == preset.name) return &preset;
  }
  return nullptr;
}

}  // namespace

std::vector<std::string> preset_names() {
  std::vector<std::string> names = {"none"};
  for (const Preset& preset : kPresets) names.emplace_back(preset.name);
  return names;
}

TrainConfig with_preset(const TrainConfig& config) {
  const Preset* const preset = find_preset(config.preset);
  if (preset == nullptr || !config.resume.empty()) return config;
  TrainConfig filled = config;
  const auto fill = [&config](const char* name, auto& field, const auto& value) {
    if (!is_given(config, *find_option(name))) field = value;
  };
  fill("family", filled.family, std::string(family_name(preset->family)));
  fill("layers", filled.layers, preset->layers);
  fill("heads", filled.heads, preset->heads);
  fill("dim", filled.width, preset->width);
  fill("rope-theta", filled.rope_theta, preset->rope_theta);
  // What follows from sizes that the user gave is no longer the preset's.
  const bool own_heads = is_given(config, *find_option("heads"));
  const bool own_width = is_given(config, *find_option("dim"));
  if (!own_heads) fill("kv-heads", filled.kv_heads, preset->kv_heads);
  if (!own_width) fill("hidden", filled.hidden, preset->hidden);
  if (!(own_heads || own_width) || preset->family == Family::kQwen3) {
    fill("head-dim", filled.head_dim, preset->head_dim);
  }
  return filled;
}

ModelConfig new_model(const TrainConfig& asked, std::int64_t context, std::int64_t vocabulary) {
  const TrainConfig config = with_preset(asked);
  ModelConfig model;
  model.family = *family_named(config.family);
  model.layers = config.layers;
  model.heads = config.heads;
  model.kv_heads = config.kv_heads;
  model.width = config.width;
  model.head_dim = config.head_dim;
  model.hidden_dim = config.hidden;
  model.rope_theta = config.rope_theta;
  model.tied_head = !config.untied;
  model.context = context;
  model.vocabulary = vocabulary;
  model.bias = config.bias || !model.is_gpt2();
  model.symmetry_order = static_cast<int>(config.symmetry);
  model.dropout = dropout_of(model.family, config.dropout);
  if (const Preset* const preset = find_preset(config.preset)) {
    if (preset->family == model.family) model.epsilon = preset->epsilon;
    model.initializer_range = preset->deviation;
  }
  check(model);
  // transformers opens no other Llama.
  if (model.family == Family::kLlama && model.width % model.heads != 0) {
    refuse("the heads do not divide the width", std::to_string(model.heads),
           "a number that divides " + option_word("dim") + ", " + std::to_string(model.width),
           option_word("heads"));
  }
  return model;
}

DropoutRates dropout_of(Family family, double rate) noexcept {
  if (family == Family::kGpt2) return {rate, rate, rate};
  return {0, rate, 0};
}

}  // namespace cllm
