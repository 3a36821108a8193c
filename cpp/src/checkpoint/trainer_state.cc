#include "checkpoint/trainer_state.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/files.h"
#include "base/mapped_file.h"
#include "base/sha256.h"
#include "cllm/error.h"

namespace cllm {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr int kFormat = 1;
constexpr const char* kStateName = "trainer_state.json";
constexpr const char* kOptimizerName = "optimizer.safetensors";
constexpr const char* kFirst = "exp_avg.";
constexpr const char* kSecond = "exp_avg_sq.";

}  // namespace

bool operator==(const DataFingerprint& a, const DataFingerprint& b) noexcept {
  return a.size == b.size && a.first_sha256 == b.first_sha256 && a.last_sha256 == b.last_sha256;
}

DataFingerprint fingerprint(const std::string& path) {
  const MappedFile file(path);
  const auto* const bytes = reinterpret_cast<const char*>(file.data());
  const std::size_t part = std::min(file.size(), kChunkBytes);
  return {file.size(), hex(sha256(std::string_view(bytes, part))),
          hex(sha256(std::string_view(bytes + (file.size() - part), part)))};
}

std::string trainer_state_json(const TrainerState& state) {
  const ModelConfig& model = state.model;
  const Json json = {
      {"format", kFormat},
      {"version", state.version},
      {"step", state.step},
      {"tokens", state.tokens},
      {"optimizer_step", state.optimizer_step},
      {"seed", state.seed},
      {"precision", state.precision},
      {"isa", state.isa},
      {"gemm", state.gemm},
      {"cpu_model", state.cpu_model},
      {"model",
       {{"layers", model.layers},
        {"heads", model.heads},
        {"width", model.width},
        {"positions", model.positions},
        {"vocabulary", model.vocabulary},
        {"bias", model.bias},
        {"symmetry_order", model.symmetry_order},
        {"embd_pdrop", model.dropout.embedding},
        {"attn_pdrop", model.dropout.attention},
        {"resid_pdrop", model.dropout.residual},
        {"tokens", state.byte_tokens ? "bytes" : "ids"}}},
      {"data",
       {{"size", state.data.size},
        {"first_sha256", state.data.first_sha256},
        {"last_sha256", state.data.last_sha256}}},
      {"config", state.config},
  };
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

TrainerState parse_trainer_state(const std::string& text, const std::string& where) {
  try {
    const Json json = Json::parse(text);
    if (json.at("format") != kFormat) {
      throw InputError({"trainer state of an unknown format", json.at("format").dump(),
                        std::to_string(kFormat), where, "written by a newer version?"});
    }
    TrainerState state;
    json.at("version").get_to(state.version);
    json.at("step").get_to(state.step);
    json.at("tokens").get_to(state.tokens);
    json.at("optimizer_step").get_to(state.optimizer_step);
    json.at("seed").get_to(state.seed);
    json.at("precision").get_to(state.precision);
    json.at("isa").get_to(state.isa);
    json.at("gemm").get_to(state.gemm);
    json.at("cpu_model").get_to(state.cpu_model);
    const Json& model = json.at("model");
    model.at("layers").get_to(state.model.layers);
    model.at("heads").get_to(state.model.heads);
    model.at("width").get_to(state.model.width);
    model.at("positions").get_to(state.model.positions);
    model.at("vocabulary").get_to(state.model.vocabulary);
    model.at("bias").get_to(state.model.bias);
    model.at("symmetry_order").get_to(state.model.symmetry_order);
    // Versions without dropout did not write them.
    state.model.dropout = {model.value("embd_pdrop", 0.0), model.value("attn_pdrop", 0.0),
                           model.value("resid_pdrop", 0.0)};
    state.byte_tokens = model.at("tokens") == "bytes";
    const Json& data = json.at("data");
    data.at("size").get_to(state.data.size);
    data.at("first_sha256").get_to(state.data.first_sha256);
    data.at("last_sha256").get_to(state.data.last_sha256);
    json.at("config").get_to(state.config);
    return state;
  } catch (const nlohmann::json::exception& error) {
    throw InputError({"trainer state cannot be read", error.what(), "what a checkpoint holds",
                      where, "use another checkpoint"});
  }
}

void write_checkpoint(const std::string& folder, const TrainerState& state,
                      const ParameterLayout& layout, const float* parameters,
                      const float* first_moment, const float* second_moment,
                      const ExtraFiles& extra) {
  FolderWriter writer(folder);
  add_model_files(writer, state.model, layout, parameters, state.byte_tokens);
  std::vector<TensorView> moments = tensor_views(layout, first_moment, kFirst);
  const std::vector<TensorView> second = tensor_views(layout, second_moment, kSecond);
  moments.insert(moments.end(), second.begin(), second.end());
  writer.add_tensors(kOptimizerName, moments);
  writer.add_text(kStateName, trainer_state_json(state));
  for (const auto& [name, text] : extra) writer.add_text(name, text);
  writer.commit();
}

TrainerState read_trainer_state(const std::string& folder) {
  const fs::path path = fs::path(folder) / kStateName;
  if (!fs::exists(path)) {
    throw InputError({"no checkpoint to resume from", "no trainer_state.json",
                      "a checkpoint of a training run", folder,
                      "a model alone can be a start: --init"});
  }
  return parse_trainer_state(read_text_file(path.string()), path.string());
}

TrainerState read_checkpoint(const std::string& folder, const ParameterLayout& layout,
                             float* parameters, float* first_moment, float* second_moment) {
  const TrainerState state = read_trainer_state(folder);
  if (!verify_folder(folder)) {
    throw InputError({"checkpoint without a manifest", "", "manifest.json", folder,
                      "it may be incomplete; use another checkpoint"});
  }
  read_model_parameters(folder, layout, parameters);
  const SafetensorsFile moments((fs::path(folder) / kOptimizerName).string());
  read_tensors(moments, layout, kFirst, first_moment);
  read_tensors(moments, layout, kSecond, second_moment);
  return state;
}

}  // namespace cllm
