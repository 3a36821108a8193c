#include "checkpoint/families/gpt2_config.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "cllm/error.h"

namespace cllm {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kEpsilon = 1e-5;  // as in the kernels' layer norm

[[noreturn]] void refuse(const std::string& where, const std::string& key, const Json& seen,
                         const std::string& wanted) {
  throw InputError({"model cannot be run here: \"" + key + "\"", seen.dump(), wanted, where,
                    "GPT-2 models in Hugging Face's format can be read"});
}

/// Returns the value of `key`, null when it is absent.
Json value_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? Json() : *found;
}

/// Reads a whole number from min to max. REQUIRES: min >= 0.
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

/// Refuses a key whose value differs from the one that this engine computes with; it may be absent.
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

/// Returns the ids under "eos_token_id": one, a list, or nothing. Ids that are no tokens are
/// dropped, because they never come.
std::vector<std::int32_t> end_tokens_of(const std::string& where, const Json& object,
                                        const ModelDescription& model) {
  constexpr const char* kKey = "eos_token_id";
  const Json value = value_of(object, kKey);
  std::vector<std::int32_t> tokens;
  if (model.byte_tokens) tokens.push_back(kEndOfText);
  const auto add = [&](const Json& one) {
    if (!one.is_number_integer()) refuse(where, kKey, value, "a token, a list of tokens or null");
    const auto id = one.get<std::int64_t>();
    const bool is_token = id >= 0 && id < model.config.vocabulary;
    if (is_token && std::find(tokens.begin(), tokens.end(), id) == tokens.end()) {
      tokens.push_back(static_cast<std::int32_t>(id));
    }
  };
  if (value.is_array()) {
    for (const Json& one : value) add(one);
  } else if (!value.is_null()) {
    add(value);
  }
  return tokens;
}

Json parse_object(const std::string& text, const std::string& where, const char* what) {
  check_json_text(text, where);
  Json json;
  try {
    json = Json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    throw InputError({"not JSON", error.what(), what, where, ""});
  }
  if (!json.is_object()) throw InputError({"not a JSON object", json.type_name(), "", where, ""});
  return json;
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

std::string config_json(const ModelConfig& config, bool byte_tokens, const std::string& base) {
  const Json end = byte_tokens ? Json(kEndOfText) : Json();
  Json own = {
      {"model_type", "gpt2"},
      {"architectures", {"GPT2LMHeadModel"}},
      {"n_layer", config.layers},
      {"n_head", config.heads},
      {"n_embd", config.width},
      {"n_positions", config.context},
      {"n_ctx", config.context},
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
  if (base.empty()) return own.dump(2) + "\n";
  Json json = Json::parse(base);
  // These keys of the original config.json also hold for the model that is written.
  for (const char* key :
       {"n_inner", "activation_function", "layer_norm_epsilon", "initializer_range",
        "scale_attn_weights", "use_cache", "scale_attn_by_inverse_layer_idx",
        "reorder_and_upcast_attn", "bos_token_id", "eos_token_id"}) {
    if (json.contains(key)) own.erase(key);
  }
  if (json.contains("dtype")) {  // newer versions of `transformers` use this key
    own.erase("torch_dtype");
    json["dtype"] = "float32";
  }
  json.update(own);
  return json.dump(2) + "\n";
}

std::string generation_config_json(bool byte_tokens) {
  const Json end = byte_tokens ? Json(kEndOfText) : Json();
  const Json json = {{"_from_model_config", true}, {"bos_token_id", end}, {"eos_token_id", end}};
  return json.dump(2) + "\n";
}

ModelDescription parse_config_json(const std::string& text, const std::string& where) {
  const Json json = parse_object(text, where, "the config.json of a model");
  const Json type = value_of(json, "model_type");
  if (type != "gpt2") refuse(where, "model_type", type, "\"gpt2\"");

  ModelDescription model;
  ModelConfig& config = model.config;
  config.layers = size_of(where, json, "n_layer", 1, kMostLayers);
  config.heads = size_of(where, json, "n_head", 1, kMostHeads);
  config.width = size_of(where, json, "n_embd", 1, kMostWidth);
  config.context = size_of(where, json, "n_positions", 1, kMostContext);
  config.vocabulary = size_of(where, json, "vocab_size", 1, kMostVocabulary);
  if (config.width % config.heads != 0) {
    refuse(where, "n_head", config.heads, "a divisor of n_embd = " + std::to_string(config.width));
  }
  check_architecture(where, json, config);
  if (parameter_count(config) > kMostParameters) {
    throw InputError({"the model is too large",
                      std::to_string(parameter_count(config)) + " parameters",
                      "at most " + std::to_string(kMostParameters), where, ""});
  }
  config.dropout = {rate_of(where, json, "embd_pdrop"), rate_of(where, json, "attn_pdrop"),
                    rate_of(where, json, "resid_pdrop")};
  model.tied_head = flag_of(where, json, "tie_word_embeddings", true);

  const Json own = value_of(json, "cllm");
  if (own.is_null()) {  // another engine wrote it
    model.end_tokens = end_tokens_of(where, json, model);
    return model;
  }
  if (!own.is_object()) refuse(where, "cllm", own, "an object");
  config.bias = flag_of(where, own, "bias", true);
  config.symmetry_order = static_cast<int>(size_of(where, own, "symmetry_order", 2, 1 << 20));
  const Json tokens = value_of(own, "tokens");
  if (tokens != "bytes" && tokens != "ids") refuse(where, "tokens", tokens, "\"bytes\" or \"ids\"");
  model.byte_tokens = tokens == "bytes";
  if (model.byte_tokens && config.vocabulary < kByteVocabulary) {
    refuse(where, "vocab_size", config.vocabulary, "at least 257 for a byte model");
  }
  model.end_tokens = end_tokens_of(where, json, model);
  return model;
}

std::vector<std::int32_t> parse_end_tokens(const std::string& text, const std::string& where,
                                           const ModelDescription& model) {
  const Json json = parse_object(text, where, "the generation_config.json of a model");
  if (value_of(json, "eos_token_id").is_null()) return model.end_tokens;
  return end_tokens_of(where, json, model);
}

}  // namespace cllm
