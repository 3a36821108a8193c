// GPT-2 in files: keys of GPT2Config, tensors under "transformer.".
#include <cmath>
#include <string>

#include "checkpoint/families/family_format.h"

namespace cllm {
namespace {

double rate_of(const ConfigKeys& keys, const char* key) {
  return keys.number(key, 0, 1, 0.1);  // GPT-2's default
}

void read_activation(const ConfigKeys& keys, ModelConfig& config) {
  constexpr const char* kKey = "activation_function";
  std::string name = keys.text(kKey, "gelu_new");
  if (name == "gelu_pytorch_tanh") name = "gelu_new";  // the same function
  const auto known = activation_named(name);
  if (!known || *known == Activation::kSilu || *known == Activation::kOfFamily) {
    keys.refuse(kKey, "gelu_new, gelu or relu");
  }
  config.activation_kind = *known;
}

void read(const ConfigKeys& keys, ModelConfig& config) {
  config.layers = keys.size("n_layer", 1, kMostLayers);
  config.heads = keys.size("n_head", 1, kMostHeads);
  config.width = keys.size("n_embd", 1, kMostWidth);
  config.context = keys.size("n_positions", 1, kMostContext);
  config.hidden_dim = keys.size("n_inner", 1, 8 * kMostWidth, 4 * config.width);
  if (config.width % config.heads != 0) {
    keys.refuse("n_head", "a divisor of n_embd = " + std::to_string(config.width));
  }
  read_activation(keys, config);
  config.epsilon = keys.number("layer_norm_epsilon", 1e-12, 1, 1e-5);
  config.scale_by_layer = keys.flag("scale_attn_by_inverse_layer_idx", false);
  config.dropout = {rate_of(keys, "embd_pdrop"), rate_of(keys, "attn_pdrop"),
                    rate_of(keys, "resid_pdrop")};
  keys.require("scale_attn_weights", true);
  keys.require("add_cross_attention", false);
}

void write(const ModelConfig& config, ConfigWriter& out) {
  out.set("n_layer", config.layers);
  out.set("n_head", config.heads);
  out.set("n_embd", config.width);
  out.set("n_positions", config.context);
  out.set("n_ctx", config.context);
  out.set("vocab_size", config.vocabulary);
  if (config.hidden() == 4 * config.width) {
    out.set_null("n_inner");
  } else {
    out.set("n_inner", config.hidden());
  }
  out.set("activation_function", activation_name(config.activation()));
  out.set("layer_norm_epsilon", config.norm_epsilon());
  out.set("resid_pdrop", config.dropout.residual);
  out.set("embd_pdrop", config.dropout.embedding);
  out.set("attn_pdrop", config.dropout.attention);
  out.set("initializer_range", config.initializer_range);
  out.set("scale_attn_weights", true);
  out.set("scale_attn_by_inverse_layer_idx", config.scale_by_layer);
  out.set("reorder_and_upcast_attn", false);
}

/// The causal mask of each attention layer.
bool is_constant(const std::string& name) {
  return ends_with(name, ".attn.bias") || ends_with(name, ".attn.masked_bias");
}

}  // namespace

const FamilyFormat kGpt2Format = {"GPT2LMHeadModel", "transformer.", true, read, write,
                                  is_constant};

}  // namespace cllm
