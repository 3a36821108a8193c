#include "checkpoint/trainer_state.h"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json_text.h"
#include "cllm/error.h"
#include "cllm/wording.h"

namespace cllm {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr int kFormat = 1;

[[noreturn]] void refuse(const std::string& where, const char* key, const Json& seen,
                         const std::string& wanted) {
  throw InputError({std::string("trainer state holds no such \"") + key + "\"", seen.dump(), wanted,
                    where, "use another checkpoint"});
}

/// Reads a whole number in its range; the JSON library would turn 1e300 or -1 into another number.
std::int64_t state_number(const std::string& where, const Json& object, const char* key,
                          std::int64_t least,
                          std::int64_t most = std::numeric_limits<std::int64_t>::max()) {
  const Json& value = object.at(key);
  const bool beyond =
      value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(most);
  if (value.is_number_integer() && !beyond) {
    const auto number = value.get<std::int64_t>();
    if (number >= least && number <= most) return number;
  }
  const bool bounded = most < std::numeric_limits<std::int64_t>::max();
  refuse(where, key, value,
         "a whole number from " + std::to_string(least) +
             (bounded ? " to " + std::to_string(most) : ""));
}

/// Returns what a name stands for.
template <class Enum>
Enum named(const std::string& where, const Json& object, const char* key,
           std::optional<Enum> (*find)(const std::string&) noexcept) {
  const std::optional<Enum> found = find(object.at(key).get<std::string>());
  if (!found) refuse(where, key, object.at(key), "one that this version knows");
  return *found;
}

Json scaling_json(const std::optional<Llama3Scaling>& scaling) {
  if (!scaling) return nullptr;
  return {{"factor", scaling->factor},
          {"low_frequency", scaling->low_frequency},
          {"high_frequency", scaling->high_frequency},
          {"original", scaling->original}};
}

/// Reads what versions that had only GPT-2 did not write.
void read_family(const std::string& where, const Json& json, ModelConfig& model) {
  model.family = named(where, json, "family", &family_named);
  model.kv_heads = state_number(where, json, "kv_heads", 1, kMostHeads);
  model.head_dim = state_number(where, json, "head_dim", 1, kMostWidth);
  model.hidden_dim = state_number(where, json, "hidden", 1, 8 * kMostWidth);
  model.activation_kind = named(where, json, "activation", &activation_named);
  json.at("norm_epsilon").get_to(model.epsilon);
  json.at("rope_theta").get_to(model.rope_theta);
  const Json& scaling = json.at("rope_scaling");
  if (!scaling.is_null()) {
    model.rope_scaling = Llama3Scaling{scaling.at("factor"), scaling.at("low_frequency"),
                                       scaling.at("high_frequency"),
                                       state_number(where, scaling, "original", 1, kMostContext)};
  }
  json.at("tied_head").get_to(model.tied_head);
  json.at("initializer_range").get_to(model.initializer_range);
  json.at("scale_by_layer").get_to(model.scale_by_layer);
}

Json state_of_model(const ModelConfig& model) {
  return {{"family", family_name(model.family)},
          {"layers", model.layers},
          {"heads", model.heads},
          {"kv_heads", model.key_value_heads()},
          {"head_dim", model.head_width()},
          {"width", model.width},
          {"hidden", model.hidden()},
          {"positions", model.context},
          {"vocabulary", model.vocabulary},
          {"bias", model.bias},
          {"activation", activation_name(model.activation())},
          {"norm_epsilon", model.norm_epsilon()},
          {"rope_theta", model.rope_theta},
          {"rope_scaling", scaling_json(model.rope_scaling)},
          {"tied_head", model.tied_head},
          {"initializer_range", model.initializer_range},
          {"scale_by_layer", model.scale_by_layer},
          {"symmetry_order", model.symmetry_order},
          {"embd_pdrop", model.dropout.embedding},
          {"attn_pdrop", model.dropout.attention},
          {"resid_pdrop", model.dropout.residual}};
}

/// Throws InputError, or an exception of the JSON library, for what state_of_model does not write.
ModelConfig model_of_state(const std::string& where, const Json& json) {
  ModelConfig model;
  model.layers = state_number(where, json, "layers", 1);
  model.heads = state_number(where, json, "heads", 1);
  model.width = state_number(where, json, "width", 1);
  model.context = state_number(where, json, "positions", 1);
  model.vocabulary = state_number(where, json, "vocabulary", 1);
  json.at("bias").get_to(model.bias);
  model.symmetry_order =
      static_cast<int>(state_number(where, json, "symmetry_order", 1, kMostSymmetry));
  // Versions without dropout did not write these.
  model.dropout = {json.value("embd_pdrop", 0.0), json.value("attn_pdrop", 0.0),
                   json.value("resid_pdrop", 0.0)};
  if (json.contains("family")) read_family(where, json, model);
  try {
    check(model);
  } catch (const InputError& error) {
    throw InputError({"no model that can be run", error.what(), "", where, ""});
  }
  return model;
}

Json data_json(const DataFingerprint& data) {
  if (!data.sha256.empty()) return {{"size", data.size}, {"sha256", data.sha256}};
  return {
      {"size", data.size}, {"first_sha256", data.first_sha256}, {"last_sha256", data.last_sha256}};
}

/// Reads a fingerprint. Older versions hashed only the first and the last MiB.
DataFingerprint parse_data(const std::string& where, const Json& json) {
  DataFingerprint data;
  data.size = static_cast<std::uint64_t>(state_number(where, json, "size", 0));
  if (json.contains("sha256")) {
    json.at("sha256").get_to(data.sha256);
    return data;
  }
  json.at("first_sha256").get_to(data.first_sha256);
  json.at("last_sha256").get_to(data.last_sha256);
  return data;
}

}  // namespace

std::string trainer_state_json(const TrainerState& state) {
  Json model = state_of_model(state.model);
  model["tokens"] = state.byte_tokens ? "bytes" : "ids";
  Json json = {
      {"format", kFormat},
      {"version", state.version},
      {"step", state.step},
      {"tokens", state.tokens},
      {"optimizer_step", state.optimizer_step},
      {"rate_scale", state.rate_scale},
      {"rate", state.rate ? Json(*state.rate) : Json(nullptr)},
      {"seed", state.seed},
      {"precision", state.precision},
      {"weights", option_name(state.weights)},
      {"isa", state.isa},
      {"gemm", state.gemm},
      {"cpu_model", state.cpu_model},
      {"model", model},
      {"data", data_json(state.data)},
      {"data_path", state.data_path},
      {"validation_path", state.validation_path},
      {"validation", data_json(state.validation)},
      {"config", state.config},
  };
  if (state.base) json["base"] = {{"path", state.base->path}, {"crc32c", state.base->checksum}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

TrainerState parse_trainer_state(const std::string& text, const std::string& where) {
  check_json_text(text, where);
  try {
    const Json json = Json::parse(text);
    if (json.at("format") != kFormat) {
      throw InputError({"trainer state of an unknown format", json.at("format").dump(),
                        std::to_string(kFormat), where, "written by a newer version?"});
    }
    TrainerState state;
    json.at("version").get_to(state.version);
    state.step = state_number(where, json, "step", 0);
    state.tokens = state_number(where, json, "tokens", 0);
    state.optimizer_step = state_number(where, json, "optimizer_step", 0);
    state.seed = state_number(where, json, "seed", std::numeric_limits<std::int64_t>::min());
    state.rate_scale = json.value("rate_scale", 1.0);  // versions without rollback wrote none
    if (!(state.rate_scale > 0 && state.rate_scale <= 1)) {
      throw InputError({"not a scale of the learning rate", json.at("rate_scale").dump(),
                        "above 0 and at most 1", where, ""});
    }
    // Versions in which no rate could be set wrote none.
    if (json.contains("rate") && !json.at("rate").is_null()) state.rate = json.at("rate");
    if (state.rate && !(*state.rate >= 0)) {
      throw InputError(
          {"not a learning rate", json.at("rate").dump(), "at least 0, or null", where, ""});
    }
    json.at("precision").get_to(state.precision);
    const std::string weights = json.value("weights", "fp32");  // older versions wrote none
    if (const auto type = weight_type_named(weights)) {
      state.weights = *type;
    } else {
      throw InputError({"not a type of weights", weights, "fp32, bf16 or fp16", where, ""});
    }
    json.at("isa").get_to(state.isa);
    json.at("gemm").get_to(state.gemm);
    json.at("cpu_model").get_to(state.cpu_model);
    const Json& model = json.at("model");
    state.model = model_of_state(where, model);
    state.byte_tokens = model.at("tokens") == "bytes";
    state.data = parse_data(where, json.at("data"));
    state.data_path = json.value("data_path", "");  // older versions wrote none
    state.validation_path = json.value("validation_path", "");
    if (json.contains("validation")) {
      state.validation = parse_data(where, json.at("validation"));
    }
    json.at("config").get_to(state.config);
    if (json.contains("base")) {
      const Json& base = json.at("base");
      state.base.emplace();
      base.at("path").get_to(state.base->path);
      base.at("crc32c").get_to(state.base->checksum);
    }
    return state;
  } catch (const nlohmann::json::exception& error) {
    throw InputError({"trainer state cannot be read", error.what(), "what a checkpoint holds",
                      where, "use another checkpoint"});
  }
}

TrainerState read_trainer_state(const std::string& folder) {
  const fs::path path = fs::path(folder) / kTrainerStateName;
  if (!is_there(path.string())) {
    throw InputError({"no checkpoint to resume from", "no trainer_state.json",
                      "a checkpoint of a training run", folder,
                      "a model alone can be a start: " + option_word("init")});
  }
  return parse_trainer_state(read_json_file(path.string()), path.string());
}

}  // namespace cllm
