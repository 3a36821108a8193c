#include "checkpoint/model_folder.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/files.h"
#include "base/sha256.h"
#include "checkpoint/byte_tokenizer.h"
#include "checkpoint/manifest.h"
#include "cllm/error.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "transformer.";
constexpr const char* kHead = "lm_head.weight";
constexpr const char* kConfigName = "config.json";
constexpr const char* kWeightsName = "model.safetensors";

std::string in(const std::string& folder, const char* name) {
  return (fs::path(folder) / name).string();
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t extent : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  }
  return text + "]";
}

std::string without_prefix(const std::string& name) {
  return name.rfind(kPrefix, 0) == 0 ? name.substr(std::strlen(kPrefix)) : name;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// Causal-mask constants that older versions of `transformers` stored in each attention layer.
bool is_mask_buffer(const std::string& name) {
  return ends_with(name, ".attn.bias") || ends_with(name, ".attn.masked_bias");
}

/// A tensor of the model under either of its two names.
const StoredTensor* find_model_tensor(const SafetensorsFile& file, const std::string& name) {
  const StoredTensor* found = file.find(name);
  return found != nullptr ? found : file.find(without_prefix(name));
}

void read_checked(const SafetensorsFile& file, const StoredTensor& tensor, const TensorEntry& entry,
                  float* out) {
  if (tensor.shape != entry.shape) {
    throw InputError({"tensor has another shape than config.json says", shape_text(tensor.shape),
                      shape_text(entry.shape), file.path() + ": tensor \"" + tensor.name + "\"",
                      ""});
  }
  file.read(tensor, out + entry.offset);
}

[[noreturn]] void refuse_missing(const SafetensorsFile& file, const std::string& name) {
  throw InputError({"tensor is missing", "none of that name", "\"" + name + "\"", file.path(),
                    "do config.json and the weights belong together?"});
}

/// Everything in the file must be a part of the model: a tensor left over means that config.json
/// describes another one (fewer layers, say).
void check_nothing_else(const SafetensorsFile& file, const ParameterLayout& layout) {
  for (const StoredTensor& tensor : file.tensors()) {
    const std::string name = without_prefix(tensor.name);
    const auto known = [&](const TensorEntry& e) { return without_prefix(e.name) == name; };
    if (name == kHead || is_mask_buffer(name) ||
        std::any_of(layout.tensors().begin(), layout.tensors().end(), known)) {
      continue;
    }
    throw InputError({"tensor does not belong to the model", "\"" + tensor.name + "\"",
                      "the tensors of a GPT-2 language model of config.json's size", file.path(),
                      "do config.json and the weights belong together?"});
  }
}

/// A head that is said to be separate is read only when it equals the embedding.
void check_head(const SafetensorsFile& file, const ParameterLayout& layout,
                const float* parameters) {
  const StoredTensor* const head = file.find(kHead);
  if (head == nullptr) refuse_missing(file, kHead);
  const TensorEntry& embedding = layout.tensors().front();
  bool equal = head->shape == embedding.shape;
  if (equal) {
    std::vector<float> values(static_cast<std::size_t>(embedding.size));
    file.read(*head, values.data());
    equal = std::equal(values.begin(), values.end(), parameters + embedding.offset);
  }
  if (!equal) {
    throw InputError({"model has an output head of its own", "lm_head.weight unlike wte.weight",
                      "equal values (a tied head)", file.path(), ""});
  }
}

void check_biases(const SafetensorsFile& file, const ParameterLayout& layout, const float* values) {
  for (const TensorEntry& entry : layout.tensors()) {
    if (!entry.frozen) continue;
    const float* const first = values + entry.offset;
    if (std::any_of(first, first + entry.size, [](float v) { return v != 0; })) {
      throw InputError({"bias in a model without biases", "values other than 0", "zeros",
                        file.path() + ": tensor \"" + entry.name + "\"",
                        "set \"bias\" under \"cllm\" in config.json to true"});
    }
  }
}

}  // namespace

std::vector<TensorView> tensor_views(const ParameterLayout& layout, const float* values,
                                     const std::string& prefix) {
  std::vector<TensorView> views;
  for (const TensorEntry& entry : layout.tensors()) {
    views.push_back({prefix + entry.name, entry.shape, values + entry.offset});
  }
  return views;
}

void add_model_files(FolderWriter& writer, const ModelConfig& config, const ParameterLayout& layout,
                     const float* parameters, bool byte_tokens) {
  writer.add_text(kConfigName, config_json(config, byte_tokens));
  writer.add_text("generation_config.json", generation_config_json(byte_tokens));
  if (byte_tokens) {
    writer.add_text("tokenizer.json", byte_tokenizer_json());
    writer.add_text("tokenizer_config.json", byte_tokenizer_config_json(config.positions));
  }
  writer.add_tensors(kWeightsName, tensor_views(layout, parameters));
}

void write_model_folder(const std::string& folder, const ModelConfig& config,
                        const ParameterLayout& layout, const float* parameters, bool byte_tokens,
                        const ExtraFiles& extra) {
  FolderWriter writer(folder);
  add_model_files(writer, config, layout, parameters, byte_tokens);
  for (const auto& [name, text] : extra) writer.add_text(name, text);
  writer.commit();
}

std::string weights_sha256(const ParameterLayout& layout, const float* parameters) {
  Sha256 hash;
  emit_safetensors(tensor_views(layout, parameters),
                   [&hash](const void* data, std::size_t size) { hash.update(data, size); });
  return hex(hash.finish());
}

ModelDescription read_model_config(const std::string& folder) {
  const std::string path = in(folder, kConfigName);
  if (!fs::exists(path)) {
    throw InputError({"no model here", "no config.json", "a model folder", folder, ""});
  }
  verify_folder(folder, {kConfigName});
  return parse_config_json(read_text_file(path), path);
}

void read_tensors(const SafetensorsFile& file, const ParameterLayout& layout,
                  const std::string& prefix, float* out) {
  std::fill(out, out + layout.flat_size(), 0.0f);
  for (const TensorEntry& entry : layout.tensors()) {
    const StoredTensor* const tensor = file.find(prefix + entry.name);
    if (tensor == nullptr) refuse_missing(file, prefix + entry.name);
    read_checked(file, *tensor, entry, out);
  }
}

void read_model_parameters(const std::string& folder, const ParameterLayout& layout, float* out) {
  const std::string path = in(folder, kWeightsName);
  if (!fs::exists(path)) {
    throw InputError({"no weights here", "no model.safetensors", "one file of weights", folder,
                      "save the model with safe_serialization and in one shard"});
  }
  verify_folder(folder, {kConfigName, kWeightsName});
  const bool tied = read_model_config(folder).tied_head;
  const SafetensorsFile file(path);
  std::fill(out, out + layout.flat_size(), 0.0f);
  for (const TensorEntry& entry : layout.tensors()) {
    const StoredTensor* const tensor = find_model_tensor(file, entry.name);
    if (tensor == nullptr) refuse_missing(file, entry.name);
    read_checked(file, *tensor, entry, out);
  }
  check_nothing_else(file, layout);
  if (!tied) check_head(file, layout, out);
  check_biases(file, layout, out);
}

}  // namespace cllm
