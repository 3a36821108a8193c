#include "checkpoint/model_folder.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>

#include "base/files.h"
#include "base/json_text.h"
#include "base/sha256.h"
#include "checkpoint/adapter_folder.h"
#include "checkpoint/byte_tokenizer.h"
#include "checkpoint/checkpoint_set.h"
#include "checkpoint/manifest.h"
#include "checkpoint/weight_files.h"
#include "cllm/error.h"
#include "cpu/allowance.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigName = "config.json";
constexpr const char* kGenerationName = "generation_config.json";

std::string in(const std::string& folder, const std::string& name) {
  return (fs::path(folder) / name).string();
}

/// Throws for a model that can be described and not run.
void check_runs(ModelConfig config, const std::string& path) {
  config.dropout = {};  // a rate of 1, which GPT-2's config may have, is of its training
  try {
    check(config);
  } catch (const InputError& error) {
    throw InputError({"model cannot be run here", error.what(), "", path, ""});
  }
}

/// Says whether a model of the Hugging Face hub may be called so: NAME or OWNER/NAME.
bool is_hub_name(const std::string& name) {
  const bool plain = name.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789-_./") == name.npos;
  const auto slashes = std::count(name.begin(), name.end(), '/');
  return plain && !name.empty() && slashes <= 1 && name.front() != '/' && name.front() != '.' &&
         name.back() != '/';
}

/// Returns the folder of a model or adapter that is in `folder`; "" if there is none.
std::string model_in(const std::string& folder) {
  const auto is_model = [](const std::string& place) {
    return is_there(in(place, kConfigName)) || is_there(in(place, kAdapterConfigName));
  };
  if (is_model(folder)) return folder;
  std::string newest = is_there(folder) ? newest_model_folder(folder) : "";
  if (!newest.empty()) return newest;
  for (const char* inner : {"final", "checkpoints/latest"}) {  // models without a trainer's state
    std::string candidate = in(folder, inner);
    if (is_model(candidate)) return candidate;
  }
  return "";
}

}  // namespace

std::vector<TensorView> tensor_views(const TensorTable& table, const float* values,
                                     const std::string& prefix) {
  std::vector<TensorView> views;
  for (const TensorEntry& entry : table.tensors()) {
    views.push_back({prefix + entry.name, entry.shape, values + entry.offset});
  }
  return views;
}

std::vector<TensorView> model_views(const ParameterLayout& layout, const float* parameters) {
  std::vector<TensorView> views;
  for (const TensorEntry& entry : layout.tensors()) {
    if (!entry.coupling) views.push_back({entry.name, entry.shape, parameters + entry.offset});
  }
  return views;
}

void add_model_files(FolderWriter& writer, const ModelConfig& config, const ParameterLayout& layout,
                     const float* parameters, bool byte_tokens, const ExtraFiles& extra,
                     WeightType type) {
  const std::string* const base = find_file(extra, kConfigName);
  writer.add_text(kConfigName,
                  config_json(config, byte_tokens, base == nullptr ? "" : *base, type));
  if (find_file(extra, kGenerationName) == nullptr) {
    writer.add_text(kGenerationName, generation_config_json(byte_tokens));
  }
  add_tokenizer_files(writer, config, byte_tokens, extra);
  writer.add_tensors(kWeightsName, model_views(layout, parameters), type);
}

void add_tokenizer_files(FolderWriter& writer, const ModelConfig& config, bool byte_tokens,
                         const ExtraFiles& extra) {
  const auto add_own = [&](const char* name, const auto& text) {
    if (find_file(extra, name) == nullptr) writer.add_text(name, text());
  };
  if (byte_tokens) {
    add_own("tokenizer.json", [] { return byte_tokenizer_json(); });
    add_own("tokenizer_config.json", [&] { return byte_tokenizer_config_json(config.context); });
  }
  for (const auto& [name, text] : extra) {
    if (name != kConfigName) writer.add_text(name, text);
  }
}

void write_model_folder(const std::string& folder, const ModelConfig& config,
                        const ParameterLayout& layout, const float* parameters, bool byte_tokens,
                        const ExtraFiles& extra, WeightType type) {
  FolderWriter writer(folder);
  add_model_files(writer, config, layout, parameters, byte_tokens, extra, type);
  writer.commit();
}

std::vector<TensorView> trained_views(const ParameterLayout& layout, const float* trained) {
  return layout.adapted() ? adapter_views(layout, trained) : model_views(layout, trained);
}

std::string weights_sha256(const ParameterLayout& layout, const float* trained) {
  Sha256 hash;
  emit_safetensors(trained_views(layout, trained),
                   [&hash](const void* data, std::size_t size) { hash.update(data, size); });
  return hex(hash.finish());
}

std::string resolve_model_folder(const std::string& folder) {
  const std::string found = model_in(folder);
  if (!found.empty()) return found;
  const bool exists = is_there(folder);
  throw InputError({"no model here",
                    exists ? "no config.json, final/ or checkpoints/latest" : "no such folder",
                    "a model folder or a run folder", folder,
                    !exists && is_hub_name(folder)
                        ? "a model of the Hugging Face hub is downloaded first, in Python: "
                          "transformers.AutoModelForCausalLM.from_pretrained(\"" +
                              folder + "\").save_pretrained(\"FOLDER\")"
                        : ""});
}

std::string resolve_adapter_folder(const std::string& folder) {
  const std::string found = model_in(folder);
  if (!found.empty() && is_adapter_folder(found)) return found;
  throw InputError({"no adapter here",
                    !found.empty()     ? "a whole model"
                    : is_there(folder) ? std::string("no ") + kAdapterConfigName
                                       : "no such folder",
                    "the folder of an adapter, or of the run that trained it", folder, ""});
}

ModelDescription read_model_config(const std::string& folder) {
  const std::string path = in(folder, kConfigName);
  if (!is_there(path)) {
    throw InputError({"no model here", "no config.json", "a model folder", folder, ""});
  }
  verify_files(folder, {kConfigName}, {kGenerationName});
  ModelDescription model = parse_config_json(read_json_file(path), path);
  const std::string generation = in(folder, kGenerationName);
  if (is_there(generation)) {
    model.end_tokens = parse_end_tokens(read_json_file(generation), generation, model);
  }
  check_runs(model.config, path);
  const std::vector<std::string> weights = weight_file_names(folder);
  if (!weights.empty()) {
    std::size_t all = 0;
    for (const std::string& name : weights) {
      std::size_t bytes = 0;
      if (is_there(in(folder, name))) open_for_reading(in(folder, name), &bytes);
      all += bytes;
    }
    const auto most = static_cast<std::int64_t>(all / 2);  // the narrowest floats have 16 bits
    if (parameter_count(model.config) > most) {
      throw InputError({"config.json speaks of more parameters than the weights can hold",
                        std::to_string(parameter_count(model.config)),
                        "at most " + std::to_string(most), path,
                        "do config.json and the weights belong together?"});
    }
  }
  return model;
}

void check_parameters_fit(const ModelConfig& config, std::size_t bytes, const std::string& where) {
  const double needed = static_cast<double>(parameter_count(config)) * static_cast<double>(bytes);
  const double limit = memory_limit_bytes();
  if (needed <= limit) return;
  const auto mib = [](double size) { return std::to_string(std::llround(size / 1048576)); };
  throw InputError({"the model does not fit in memory", mib(needed) + " MiB",
                    "at most " + mib(limit) + " MiB", where, ""});
}

}  // namespace cllm
