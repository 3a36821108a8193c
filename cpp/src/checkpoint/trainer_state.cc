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
constexpr const char* kStateName = "trainer_state.json";
constexpr const char* kOptimizerName = "optimizer.safetensors";

/// Reads a whole number in its range; the JSON library would turn 1e300 or -1 into another number.
std::int64_t whole(const std::string& where, const Json& object, const char* key,
                   std::int64_t least,
                   std::int64_t most = std::numeric_limits<std::int64_t>::max()) {
  const Json& value = object.at(key);
  const bool beyond =
      value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(most);
  if (value.is_number_integer() && !beyond) {
    const auto number = value.get<std::int64_t>();
    if (number >= least && number <= most) return number;
  }
  throw InputError({std::string("trainer state holds no such \"") + key + "\"", value.dump(),
                    "a whole number from " + std::to_string(least), where,
                    "use another checkpoint"});
}

Json data_json(const DataFingerprint& data) {
  if (!data.sha256.empty()) return {{"size", data.size}, {"sha256", data.sha256}};
  return {
      {"size", data.size}, {"first_sha256", data.first_sha256}, {"last_sha256", data.last_sha256}};
}

/// Reads a fingerprint. Older versions hashed only the first and the last MiB.
DataFingerprint parse_data(const std::string& where, const Json& json) {
  DataFingerprint data;
  data.size = static_cast<std::uint64_t>(whole(where, json, "size", 0));
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
  const ModelConfig& model = state.model;
  const Json json = {
      {"format", kFormat},
      {"version", state.version},
      {"step", state.step},
      {"tokens", state.tokens},
      {"optimizer_step", state.optimizer_step},
      {"rate_scale", state.rate_scale},
      {"rate", state.rate ? Json(*state.rate) : Json(nullptr)},
      {"seed", state.seed},
      {"precision", state.precision},
      {"isa", state.isa},
      {"gemm", state.gemm},
      {"cpu_model", state.cpu_model},
      {"model",
       {{"layers", model.layers},
        {"heads", model.heads},
        {"width", model.width},
        {"positions", model.context},
        {"vocabulary", model.vocabulary},
        {"bias", model.bias},
        {"symmetry_order", model.symmetry_order},
        {"embd_pdrop", model.dropout.embedding},
        {"attn_pdrop", model.dropout.attention},
        {"resid_pdrop", model.dropout.residual},
        {"tokens", state.byte_tokens ? "bytes" : "ids"}}},
      {"data", data_json(state.data)},
      {"data_path", state.data_path},
      {"validation_path", state.validation_path},
      {"validation", data_json(state.validation)},
      {"config", state.config},
  };
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
    state.step = whole(where, json, "step", 0);
    state.tokens = whole(where, json, "tokens", 0);
    state.optimizer_step = whole(where, json, "optimizer_step", 0);
    state.seed = whole(where, json, "seed", std::numeric_limits<std::int64_t>::min());
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
    json.at("isa").get_to(state.isa);
    json.at("gemm").get_to(state.gemm);
    json.at("cpu_model").get_to(state.cpu_model);
    const Json& model = json.at("model");
    state.model.layers = whole(where, model, "layers", 1);
    state.model.heads = whole(where, model, "heads", 1);
    state.model.width = whole(where, model, "width", 1);
    state.model.context = whole(where, model, "positions", 1);
    state.model.vocabulary = whole(where, model, "vocabulary", 1);
    model.at("bias").get_to(state.model.bias);
    state.model.symmetry_order =
        static_cast<int>(whole(where, model, "symmetry_order", 2, std::numeric_limits<int>::max()));
    // Versions without dropout did not write these.
    state.model.dropout = {model.value("embd_pdrop", 0.0), model.value("attn_pdrop", 0.0),
                           model.value("resid_pdrop", 0.0)};
    state.byte_tokens = model.at("tokens") == "bytes";
    state.data = parse_data(where, json.at("data"));
    state.data_path = json.value("data_path", "");  // older versions wrote none
    state.validation_path = json.value("validation_path", "");
    if (json.contains("validation")) {
      state.validation = parse_data(where, json.at("validation"));
    }
    json.at("config").get_to(state.config);
    return state;
  } catch (const nlohmann::json::exception& error) {
    throw InputError({"trainer state cannot be read", error.what(), "what a checkpoint holds",
                      where, "use another checkpoint"});
  }
}

void write_checkpoint(const std::string& folder, const TrainerState& state,
                      const ParameterLayout& layout, const float* parameters,
                      const std::vector<OptimizerRange<const float>>& optimizer,
                      const ExtraFiles& extra) {
  FolderWriter writer(folder);
  add_model_files(writer, state.model, layout, parameters, state.byte_tokens, extra);
  std::vector<TensorView> all;
  for (const OptimizerRange<const float>& range : optimizer) {
    const std::vector<TensorView> views = tensor_views(layout, range.values, range.name + ".");
    all.insert(all.end(), views.begin(), views.end());
  }
  writer.add_tensors(kOptimizerName, all);
  writer.add_text(kStateName, trainer_state_json(state));
  writer.commit();
}

TrainerState read_trainer_state(const std::string& folder) {
  const fs::path path = fs::path(folder) / kStateName;
  if (!is_there(path.string())) {
    throw InputError({"no checkpoint to resume from", "no trainer_state.json",
                      "a checkpoint of a training run", folder,
                      "a model alone can be a start: " + option_word("init")});
  }
  return parse_trainer_state(read_json_file(path.string()), path.string());
}

TrainerState read_checkpoint(const std::string& folder, const ParameterLayout& layout,
                             float* parameters,
                             const std::vector<OptimizerRange<float>>& optimizer) {
  const TrainerState state = read_trainer_state(folder);
  if (!verify_folder(folder, {"config.json", "model.safetensors", kStateName, kOptimizerName})) {
    throw InputError({"checkpoint without a manifest", "", "manifest.json", folder,
                      "it may be incomplete; use another checkpoint"});
  }
  read_model_parameters(folder, layout, parameters);
  const SafetensorsFile file((fs::path(folder) / kOptimizerName).string());
  for (const OptimizerRange<float>& range : optimizer) {
    const Values values = range.may_be_negative ? Values::kFinite : Values::kFiniteNotNegative;
    read_tensors(file, layout, range.name + ".", values, range.values);
  }
  return state;
}

}  // namespace cllm
