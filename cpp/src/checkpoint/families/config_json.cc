#include "checkpoint/families/config_json.h"

#include <algorithm>
#include <array>
#include <optional>

#include "checkpoint/families/family_format.h"
#include "cllm/error.h"

namespace cllm {
namespace {

constexpr const char* kOwn = "cllm";
constexpr std::array<Family, 4> kFamilies = {Family::kGpt2, Family::kLlama, Family::kQwen2,
                                             Family::kQwen3};

/// What any config.json may ask for and no family here does.
constexpr std::array<const char*, 5> kNotDone = {"quantization_config", "num_experts",
                                                 "num_local_experts", "attn_logit_softcapping",
                                                 "final_logit_softcapping"};

Family family_of(const ConfigKeys& keys) {
  const std::string name = keys.text("model_type", "");
  if (const auto family = family_named(name)) return *family;
  std::string known;
  for (const Family family : kFamilies) {
    known += (known.empty() ? "" : family == kFamilies.back() ? " or " : ", ");
    known += family_name(family);
  }
  keys.refuse("model_type", known);
}

/// Returns the ids under "eos_token_id". Ids that are no tokens are dropped, because they never
/// come.
std::vector<std::int32_t> end_tokens_of(const ConfigKeys& keys, const ModelDescription& model) {
  std::vector<std::int32_t> tokens;
  if (model.byte_tokens) tokens.push_back(kEndOfText);
  for (const std::int64_t id : keys.ids("eos_token_id")) {
    const bool is_token = id >= 0 && id < model.config.vocabulary;
    if (is_token && std::find(tokens.begin(), tokens.end(), id) == tokens.end()) {
      tokens.push_back(static_cast<std::int32_t>(id));
    }
  }
  return tokens;
}

void read_own(const ConfigKeys& own, const ConfigKeys& keys, ModelDescription& model) {
  if (model.config.is_gpt2()) model.config.bias = own.flag("bias", true);
  model.config.symmetry_order = static_cast<int>(own.size("symmetry_order", 1, kMostSymmetry));
  const std::string tokens = own.text("tokens", "");
  if (tokens != "bytes" && tokens != "ids") own.refuse("tokens", "\"bytes\" or \"ids\"");
  model.byte_tokens = tokens == "bytes";
  if (model.byte_tokens && model.config.vocabulary < kByteVocabulary) {
    keys.refuse("vocab_size", "at least 257 for a byte model");
  }
}

ModelDescription read_description(const ConfigKeys& keys) {
  ModelDescription model;
  ModelConfig& config = model.config;
  config.family = family_of(keys);
  for (const char* key : kNotDone) keys.require_none(key);
  config.vocabulary = keys.size("vocab_size", 1, kMostVocabulary);
  const FamilyFormat& format = format_of(config.family);
  format.read(keys, config);
  config.initializer_range = keys.number("initializer_range", 0, 1e6, 0.02);
  if (config.initializer_range == 0) config.initializer_range = 0.02;  // of new weights alone
  config.tied_head = keys.flag("tie_word_embeddings", format.tied);
  if (const auto own = keys.object(kOwn)) read_own(*own, keys, model);
  model.end_tokens = end_tokens_of(keys, model);
  return model;
}

void check_size(const ModelConfig& config, const std::string& where) {
  const std::int64_t parameters = parameter_count(config);
  if (parameters <= kMostParameters) return;
  throw InputError({"the model is too large", std::to_string(parameters) + " parameters",
                    "at most " + std::to_string(kMostParameters), where, ""});
}

/// Says whether a config.json describes this model, so that its keys may stay as they are.
bool describes(const std::string& base, const ModelConfig& config) {
  if (base.empty()) return false;
  try {
    ModelConfig found =
        read_description(ConfigKeys(base, "config.json", "the config.json of a model")).config;
    found.bias = config.bias;  // what "cllm" says is written again
    found.symmetry_order = config.symmetry_order;
    return found == config;
  } catch (const InputError&) {  // a part of one
    return false;
  }
}

}  // namespace

std::string config_json(const ModelConfig& config, bool byte_tokens, const std::string& base,
                        WeightType type) {
  const FamilyFormat& format = format_of(config.family);
  ConfigWriter out(base, describes(base, config));
  out.replace("model_type", family_name(config.family));
  out.set_list("architectures", {format.architecture});
  format.write(config, out);
  out.set("tie_word_embeddings", config.tied_head);
  // Versions of `transformers` read one name or the other.
  out.replace("dtype", config_name(type));
  out.replace("torch_dtype", config_name(type));
  ConfigWriter own;
  if (config.is_gpt2()) own.set("bias", config.bias);
  own.set("symmetry_order", std::int64_t{config.symmetry_order});
  own.set("tokens", byte_tokens ? "bytes" : "ids");
  out.replace(kOwn, own);

  ConfigWriter whole(out.text(), true);  // what others may have said otherwise
  whole.set("use_cache", true);
  for (const char* key : {"bos_token_id", "eos_token_id"}) {
    if (byte_tokens) {
      whole.set(key, std::int64_t{kEndOfText});
    } else {
      whole.set_null(key);
    }
  }
  return whole.text();
}

std::string generation_config_json(bool byte_tokens) {
  ConfigWriter out;
  out.set("_from_model_config", true);
  for (const char* key : {"bos_token_id", "eos_token_id"}) {
    if (byte_tokens) {
      out.set(key, std::int64_t{kEndOfText});
    } else {
      out.set_null(key);
    }
  }
  return out.text();
}

ModelDescription parse_config_json(const std::string& text, const std::string& where) {
  const ConfigKeys keys(text, where, "the config.json of a model");
  ModelDescription model = read_description(keys);
  check_size(model.config, where);
  return model;
}

std::vector<std::int32_t> parse_end_tokens(const std::string& text, const std::string& where,
                                           const ModelDescription& model) {
  const ConfigKeys keys(text, where, "the generation_config.json of a model");
  return keys.has("eos_token_id") ? end_tokens_of(keys, model) : model.end_tokens;
}

}  // namespace cllm
