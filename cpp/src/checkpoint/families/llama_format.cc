// Llama and its like in files: keys of LlamaConfig, Qwen2Config and Qwen3Config, tensors under
// "model.".
#include <optional>
#include <string>

#include "checkpoint/families/family_format.h"

namespace cllm {
namespace {

constexpr double kLargestTheta = 1e15, kLargestFactor = 1e6;

/// Returns the kind of an object of rotary settings; older versions call the key "type".
std::string rope_type(const ConfigKeys& rope) {
  return rope.text("rope_type", rope.text("type", "default"));
}

void read_scaling(const ConfigKeys& rope, ModelConfig& config) {
  const std::string type = rope_type(rope);
  if (type == "default") return;
  if (type != "llama3") {
    rope.refuse(rope.has("rope_type") ? "rope_type" : "type", "default or llama3");
  }
  for (const char* key : {"factor", "low_freq_factor", "high_freq_factor"}) {
    if (!rope.has(key)) rope.refuse(key, "a number");
  }
  Llama3Scaling scaling;
  scaling.factor = rope.number("factor", 1, kLargestFactor, 0);
  scaling.low_frequency = rope.number("low_freq_factor", 1e-6, kLargestFactor, 0);
  scaling.high_frequency = rope.number("high_freq_factor", 1e-6, kLargestFactor, 0);
  scaling.original = rope.size("original_max_position_embeddings", 1, kMostContext, config.context);
  if (scaling.high_frequency <= scaling.low_frequency) {
    rope.refuse("high_freq_factor", "more than low_freq_factor");
  }
  config.rope_scaling = scaling;
}

/// Version 5 keeps all of the rotary positions in rope_parameters, older ones in rope_theta and
/// rope_scaling. Where a file has both they must say the same: which one counts is a matter of the
/// version.
void read_rope(const ConfigKeys& keys, ModelConfig& config) {
  constexpr double kDefault = 10000;
  const auto theta_of = [](const ConfigKeys& in, double otherwise) {
    return in.number("rope_theta", 1e-6, kLargestTheta, otherwise);
  };
  const auto full = [](const ConfigKeys& in) {
    if (in.number("partial_rotary_factor", 0, 1e6, 1) != 1) in.refuse("partial_rotary_factor", "1");
  };
  full(keys);
  config.rope_theta = theta_of(keys, kDefault);
  const std::optional<ConfigKeys> old = keys.object("rope_scaling");
  if (old) {
    full(*old);
    read_scaling(*old, config);
    config.rope_theta = theta_of(*old, config.rope_theta);
  }
  const std::optional<ConfigKeys> now = keys.object("rope_parameters");
  if (!now) return;
  full(*now);
  for (const char* kind_of_layer : {"full_attention", "sliding_attention"}) {
    now->require_none(kind_of_layer);  // settings of one kind of layer only
  }
  ModelConfig read = config;
  read.rope_scaling.reset();
  read_scaling(*now, read);
  read.rope_theta = theta_of(*now, config.rope_theta);
  const bool other_theta = keys.has("rope_theta") && read.rope_theta != config.rope_theta;
  if (other_theta) {
    now->refuse("rope_theta", "the same as \"rope_theta\" beside \"rope_parameters\"");
  }
  if (old && !(read.rope_scaling == config.rope_scaling)) {
    keys.refuse("rope_scaling", "the same as \"rope_parameters\"");
  }
  config.rope_theta = read.rope_theta;
  config.rope_scaling = read.rope_scaling;
}

void require_no_windows(const ConfigKeys& keys, bool has_windows) {
  if (has_windows) {  // "sliding_window" means nothing without this
    keys.require("use_sliding_window", false);
  } else {
    keys.require_none("sliding_window");
  }
  for (const std::string& type : keys.texts("layer_types")) {
    if (type != "full_attention") keys.refuse("layer_types", "full_attention in all layers");
  }
}

void read_heads(const ConfigKeys& keys, ModelConfig& config) {
  config.heads = keys.size("num_attention_heads", 1, kMostHeads);
  // Qwen's classes have a number of their own where the key is absent, so it must be there.
  const bool may_be_absent = config.family == Family::kLlama;
  std::optional<std::int64_t> absent = config.heads;
  if (!may_be_absent && !keys.is_there("num_key_value_heads")) absent.reset();
  config.kv_heads = keys.size("num_key_value_heads", 1, kMostHeads, absent);
  if (config.heads % config.kv_heads != 0) {
    keys.refuse("num_key_value_heads",
                "a divisor of num_attention_heads = " + std::to_string(config.heads));
  }
  if (config.family == Family::kQwen3 && !keys.is_there("head_dim")) {
    config.head_dim = 128;
  } else if (keys.has("head_dim")) {
    config.head_dim = keys.size("head_dim", 1, kMostWidth);
  } else if (config.width % config.heads != 0) {
    keys.refuse("num_attention_heads",
                "a divisor of hidden_size = " + std::to_string(config.width));
  }
  if (config.head_width() % 2 != 0) keys.refuse("head_dim", "an even number");
  if (config.query_width() > kMostWidth) {
    keys.refuse("num_attention_heads",
                "at most " + std::to_string(kMostWidth) + " numbers in all heads together");
  }
}

void read(const ConfigKeys& keys, ModelConfig& config) {
  config.layers = keys.size("num_hidden_layers", 1, kMostLayers);
  config.width = keys.size("hidden_size", 1, kMostWidth);
  config.context = keys.size("max_position_embeddings", 1, kMostContext);
  config.hidden_dim = keys.size("intermediate_size", 1, 8 * kMostWidth);
  read_heads(keys, config);
  config.epsilon = keys.number("rms_norm_eps", 1e-12, 1, 1e-6);
  config.dropout.attention = keys.number("attention_dropout", 0, 1, 0);
  const std::string activation = keys.text("hidden_act", "silu");
  if (activation != "silu" && activation != "swish") keys.refuse("hidden_act", "silu");
  config.activation_kind = Activation::kSilu;
  read_rope(keys, config);
  require_no_windows(keys, config.family != Family::kLlama);
  if (config.family != Family::kQwen2) keys.require("attention_bias", false);
  if (config.family == Family::kLlama) keys.require("mlp_bias", false);
}

void write_rope(const ModelConfig& config, ConfigWriter& out) {
  ConfigWriter now, old;
  const auto both = [&](const char* key, auto value) {
    now.set(key, value);
    old.set(key, value);
  };
  if (config.rope_scaling) {
    both("rope_type", "llama3");
    both("factor", config.rope_scaling->factor);
    both("low_freq_factor", config.rope_scaling->low_frequency);
    both("high_freq_factor", config.rope_scaling->high_frequency);
    both("original_max_position_embeddings", config.rope_scaling->original);
  } else {
    now.set("rope_type", "default");
  }
  now.set("rope_theta", config.rope_theta);
  out.set("rope_parameters", now);
  out.set("rope_theta", config.rope_theta);
  if (config.rope_scaling) {
    out.set("rope_scaling", old);
  } else {
    out.set_null("rope_scaling");
  }
}

void write(const ModelConfig& config, ConfigWriter& out) {
  out.set("num_hidden_layers", config.layers);
  out.set("num_attention_heads", config.heads);
  out.set("num_key_value_heads", config.key_value_heads());
  out.set("head_dim", config.head_width());
  out.set("hidden_size", config.width);
  out.set("intermediate_size", config.hidden());
  out.set("hidden_act", "silu");
  out.set("max_position_embeddings", config.context);
  out.set("vocab_size", config.vocabulary);
  out.set("initializer_range", config.initializer_range);
  out.set("rms_norm_eps", config.norm_epsilon());
  out.set("attention_dropout", config.dropout.attention);
  write_rope(config, out);
  if (config.family == Family::kLlama) {
    out.set("mlp_bias", false);
  } else {
    out.set("use_sliding_window", false);
    out.set_null("sliding_window");
  }
  if (config.family != Family::kQwen2) out.set("attention_bias", false);
}

/// The speeds of rotary positions.
bool is_constant(const std::string& name) { return ends_with(name, ".rotary_emb.inv_freq"); }

}  // namespace

const FamilyFormat kLlamaFormat = {"LlamaForCausalLM", "model.", false, read, write, is_constant};
const FamilyFormat kQwen2Format = {"Qwen2ForCausalLM", "model.", false, read, write, is_constant};
const FamilyFormat kQwen3Format = {"Qwen3ForCausalLM", "model.", false, read, write, is_constant};

}  // namespace cllm
