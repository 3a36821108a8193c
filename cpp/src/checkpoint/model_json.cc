#include "checkpoint/model_json.h"

#include <cstdint>
#include <nlohmann/json.hpp>

#include "cllm/error.h"

namespace cllm {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kEpsilon = 1e-5;  // the kernels' layer norm

[[noreturn]] void refuse(const std::string& where, const std::string& key, const Json& seen,
                         const std::string& wanted) {
  throw InputError({"model cannot be run here: \"" + key + "\"", seen.dump(), wanted, where,
                    "GPT-2 models in Hugging Face's format can be read"});
}

/// The value of `key`, null when it is absent.
Json value_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? Json() : *found;
}

/// REQUIRES: min >= 0.
std::int64_t size_of(const std::string& where, const Json& object, const char* key,
                     std::int64_t min, std::int64_t max) {
  const Json value = value_of(object, key);
  if (value.is_number_integer()) {
    const auto number = value.get<std::int64_t>();
    if (number >= min && number <= max) return number;
  }
  refuse(where, key, value,
         "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
}

/// Refuses a key that is there with another value than the one this engine computes with.
void require(const std::string& where, const Json& object, const char* key, const Json& wanted) {
  const Json value = value_of(object, key);
  if (!value.is_null() && value != wanted) refuse(where, key, value, wanted.dump());
}

bool flag_of(const std::string& where, const Json& object, const char* key, bool absent) {
  const Json value = value_of(object, key);
  if (value.is_null()) return absent;
  if (!value.is_boolean()) refuse(where, key, value, "true or false");
  return value.get<bool>();
}

double rate_of(const std::string& where, const Json& object, const char* key) {
  const Json value = value_of(object, key);
  if (value.is_null()) return 0.1;  // GPT-2's default
  if (value.is_number() && value.get<double>() >= 0 && value.get<double>() <= 1) {
    return value.get<double>();
  }
  refuse(where, key, value, "a number from 0 to 1");
}

void check_architecture(const std::string& where, const Json& json, const ModelConfig& config) {
  const Json activation = value_of(json, "activation_function");
  if (!activation.is_null() && activation != "gelu_new" && activation != "gelu_pytorch_tanh") {
    refuse(where, "activation_function", activation, "\"gelu_new\"");
  }
  const Json inner = value_of(json, "n_inner");
  if (!inner.is_null() && inner != config.hidden()) {
    refuse(where, "n_inner", inner, "null or 4 n_embd = " + std::to_string(config.hidden()));
  }
  require(where, json, "layer_norm_epsilon", kEpsilon);
  require(where, json, "scale_attn_weights", true);
  require(where, json, "scale_attn_by_inverse_layer_idx", false);
  require(where, json, "add_cross_attention", false);
}

}  // namespace

std::string config_json(const ModelConfig& config, bool byte_tokens) {
  const Json end = byte_tokens ? Json(kEndOfText) : Json();
  const Json json = {
      {"model_type", "gpt2"},
      {"architectures", {"GPT2LMHeadModel"}},
      {"n_layer", config.layers},
      {"n_head", config.heads},
      {"n_embd", config.width},
      {"n_positions", config.positions},
      {"n_ctx", config.positions},
      {"vocab_size", config.vocabulary},
      {"n_inner", nullptr},
      {"activation_function", "gelu_new"},
      {"layer_norm_epsilon", kEpsilon},
      {"resid_pdrop", config.dropout.residual},
      {"embd_pdrop", config.dropout.embedding},
      {"attn_pdrop", config.dropout.attention},
      {"initializer_range", 0.02},
      {"scale_attn_weights", true},
      {"scale_attn_by_inverse_layer_idx", false},
      {"reorder_and_upcast_attn", false},
      {"use_cache", true},
      {"bos_token_id", end},
      {"eos_token_id", end},
      {"tie_word_embeddings", true},
      {"torch_dtype", "float32"},
      {"cllm",
       {{"bias", config.bias},
        {"symmetry_order", config.symmetry_order},
        {"tokens", byte_tokens ? "bytes" : "ids"}}},
  };
  return json.dump(2) + "\n";
}

std::string generation_config_json(bool byte_tokens) {
  const Json end = byte_tokens ? Json(kEndOfText) : Json();
  const Json json = {{"_from_model_config", true}, {"bos_token_id", end}, {"eos_token_id", end}};
  return json.dump(2) + "\n";
}

ModelDescription parse_config_json(const std::string& text, const std::string& where) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw InputError({"not JSON", error.what(), "the config.json of a model", where, ""});
  }
  if (!json.is_object()) throw InputError({"not a JSON object", json.type_name(), "", where, ""});
  const Json type = value_of(json, "model_type");
  if (type != "gpt2") refuse(where, "model_type", type, "\"gpt2\"");

  ModelDescription model;
  ModelConfig& config = model.config;
  // Bounds that keep every size in this engine far from overflow.
  config.layers = size_of(where, json, "n_layer", 1, 1 << 14);
  config.heads = size_of(where, json, "n_head", 1, 1 << 14);
  config.width = size_of(where, json, "n_embd", 1, 1 << 17);
  config.positions = size_of(where, json, "n_positions", 1, 1 << 24);
  config.vocabulary = size_of(where, json, "vocab_size", 1, 1 << 24);
  if (config.width % config.heads != 0) {
    refuse(where, "n_head", config.heads, "a divisor of n_embd = " + std::to_string(config.width));
  }
  check_architecture(where, json, config);
  config.dropout = {rate_of(where, json, "embd_pdrop"), rate_of(where, json, "attn_pdrop"),
                    rate_of(where, json, "resid_pdrop")};
  model.tied_head = flag_of(where, json, "tie_word_embeddings", true);

  const Json own = value_of(json, "cllm");
  if (own.is_null()) return model;  // not written by this engine
  if (!own.is_object()) refuse(where, "cllm", own, "an object");
  config.bias = flag_of(where, own, "bias", true);
  config.symmetry_order = static_cast<int>(size_of(where, own, "symmetry_order", 2, 1 << 20));
  const Json tokens = value_of(own, "tokens");
  if (tokens != "bytes" && tokens != "ids") refuse(where, "tokens", tokens, "\"bytes\" or \"ids\"");
  model.byte_tokens = tokens == "bytes";
  if (model.byte_tokens && config.vocabulary < kByteVocabulary) {
    refuse(where, "vocab_size", config.vocabulary, "at least 257 for a byte model");
  }
  return model;
}

}  // namespace cllm
