#include "checkpoint/model_folder.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>

#include "base/files.h"
#include "base/finite.h"
#include "base/json_text.h"
#include "base/sha256.h"
#include "checkpoint/byte_tokenizer.h"
#include "checkpoint/checkpoint_set.h"
#include "checkpoint/families/gpt2_names.h"
#include "checkpoint/manifest.h"
#include "cllm/error.h"
#include "cpu/allowance.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigName = "config.json";
constexpr const char* kGenerationName = "generation_config.json";
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

/// Finds a tensor of the model under either of its two names.
const StoredTensor* find_model_tensor(const SafetensorsFile& file, const std::string& name) {
  const StoredTensor* found = file.find(name);
  return found != nullptr ? found : file.find(without_prefix(name));
}

/// Says whether a float violates `values`, by its bits, so that the loop becomes vector code.
bool is_wrong(float value, std::uint32_t sign) noexcept {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const bool negative = (bits & sign) != 0 && (bits & 0x7FFFFFFFu) != 0;
  return !is_finite(value) || negative;
}

void check_values(const SafetensorsFile& file, const StoredTensor& tensor, Values values,
                  const float* data) {
  const std::uint32_t sign = values == Values::kFiniteNotNegative ? 0x80000000u : 0;
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < tensor.elements; ++i) wrong += is_wrong(data[i], sign) ? 1 : 0;
  if (wrong == 0) return;
  const float* const first =
      std::find_if(data, data + tensor.elements, [sign](float v) { return is_wrong(v, sign); });
  throw InputError({"values that cannot be",
                    std::to_string(wrong) + " of " + std::to_string(tensor.elements) +
                        ", the first is number " + std::to_string(first - data) + ": " +
                        std::to_string(*first),
                    sign == 0 ? "finite numbers" : "finite numbers that are not negative",
                    file.path() + ": tensor \"" + tensor.name + "\"",
                    "what computed them went wrong; an earlier checkpoint may be whole"});
}

void read_checked(const SafetensorsFile& file, const StoredTensor& tensor, const TensorEntry& entry,
                  Values values, float* out) {
  if (tensor.shape != entry.shape) {
    throw InputError({"tensor has another shape than config.json says", shape_text(tensor.shape),
                      shape_text(entry.shape), file.path() + ": tensor \"" + tensor.name + "\"",
                      ""});
  }
  file.read(tensor, out + entry.offset);
  check_values(file, tensor, values, out + entry.offset);
}

[[noreturn]] void refuse_missing(const SafetensorsFile& file, const std::string& name) {
  throw InputError({"tensor is missing", "none of that name", "\"" + name + "\"", file.path(),
                    "do config.json and the weights belong together?"});
}

/// Checks that everything in the file is part of the model: a tensor left over means that
/// config.json describes another model (with fewer layers, for instance).
void check_nothing_else(const SafetensorsFile& file, const ParameterLayout& layout) {
  std::vector<std::string> known = {kHeadName};
  for (const TensorEntry& entry : layout.tensors()) known.push_back(without_prefix(entry.name));
  std::sort(known.begin(), known.end());
  for (const StoredTensor& tensor : file.tensors()) {
    const std::string name = without_prefix(tensor.name);
    const bool is_known = std::binary_search(known.begin(), known.end(), name);
    const bool twice = is_known && name != tensor.name && file.find(name) != nullptr;
    if ((is_known && !twice) || is_mask_buffer(name)) continue;
    throw InputError(
        {twice ? "tensor is there under both of its names" : "tensor does not belong to the model",
         "\"" + tensor.name + "\"", "the tensors of a GPT-2 language model of config.json's size",
         file.path(), "do config.json and the weights belong together?"});
  }
}

/// The engine computes the logits with the embedding. A stored head must therefore equal it,
/// whatever config.json says, because other programs use the head that they find.
void check_head(const SafetensorsFile& file, const ParameterLayout& layout, bool tied,
                const float* parameters) {
  const StoredTensor* const head = find_model_tensor(file, kModelPrefix + std::string(kHeadName));
  if (head == nullptr) {
    if (!tied) refuse_missing(file, kHeadName);
    return;
  }
  const TensorEntry& embedding = layout.tensors().front();
  bool equal = head->shape == embedding.shape;
  if (equal) {
    std::vector<float> values(static_cast<std::size_t>(embedding.size));
    file.read(*head, values.data());
    equal = std::equal(values.begin(), values.end(), parameters + embedding.offset);
  }
  if (!equal) {
    throw InputError(
        {"model has an output head of its own",
         std::string(kHeadName) + " unlike " + embedding.name, "equal values (a tied head)",
         file.path(),
         tied ? "config.json says that they are tied, the weights say otherwise" : ""});
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

/// Says whether a model of the Hugging Face hub may be called so: NAME or OWNER/NAME.
bool is_hub_name(const std::string& name) {
  const bool plain = name.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789-_./") == name.npos;
  const auto slashes = std::count(name.begin(), name.end(), '/');
  return plain && !name.empty() && slashes <= 1 && name.front() != '/' && name.front() != '.' &&
         name.back() != '/';
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
                     const float* parameters, bool byte_tokens, const ExtraFiles& extra) {
  const std::string* const base = find_file(extra, kConfigName);
  writer.add_text(kConfigName, config_json(config, byte_tokens, base == nullptr ? "" : *base));
  const auto add_own = [&](const char* name, const auto& text) {
    if (find_file(extra, name) == nullptr) writer.add_text(name, text());
  };
  add_own(kGenerationName, [&] { return generation_config_json(byte_tokens); });
  if (byte_tokens) {
    add_own("tokenizer.json", [] { return byte_tokenizer_json(); });
    add_own("tokenizer_config.json", [&] { return byte_tokenizer_config_json(config.context); });
  }
  for (const auto& [name, text] : extra) {
    if (name != kConfigName) writer.add_text(name, text);
  }
  writer.add_tensors(kWeightsName, tensor_views(layout, parameters));
}

void write_model_folder(const std::string& folder, const ModelConfig& config,
                        const ParameterLayout& layout, const float* parameters, bool byte_tokens,
                        const ExtraFiles& extra) {
  FolderWriter writer(folder);
  add_model_files(writer, config, layout, parameters, byte_tokens, extra);
  writer.commit();
}

std::string weights_sha256(const ParameterLayout& layout, const float* parameters) {
  Sha256 hash;
  emit_safetensors(tensor_views(layout, parameters),
                   [&hash](const void* data, std::size_t size) { hash.update(data, size); });
  return hex(hash.finish());
}

std::string resolve_model_folder(const std::string& folder) {
  if (is_there(in(folder, kConfigName))) return folder;
  std::string newest = is_there(folder) ? newest_model_folder(folder) : "";
  if (!newest.empty()) return newest;
  for (const char* inner : {"final", "checkpoints/latest"}) {  // models without a trainer's state
    const std::string candidate = in(folder, inner);
    if (is_there(in(candidate, kConfigName))) return candidate;
  }
  const bool exists = is_there(folder);
  throw InputError({"no model here",
                    exists ? "no config.json, final/ or checkpoints/latest" : "no such folder",
                    "a model folder or a run folder", folder,
                    !exists && is_hub_name(folder)
                        ? "a model of the Hugging Face hub is downloaded first, in Python: "
                          "transformers.GPT2LMHeadModel.from_pretrained(\"" +
                              folder + "\").save_pretrained(\"FOLDER\")"
                        : ""});
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
  const std::string weights = in(folder, kWeightsName);
  if (is_there(weights)) {
    std::size_t bytes = 0;
    open_for_reading(weights, &bytes);
    const auto most = static_cast<std::int64_t>(bytes / 2);  // the narrowest floats have 16 bits
    if (parameter_count(model.config) > most) {
      throw InputError({"config.json speaks of more parameters than the weights can hold",
                        std::to_string(parameter_count(model.config)),
                        "at most " + std::to_string(most), path,
                        "do config.json and the weights belong together?"});
    }
  }
  return model;
}

void check_parameters_fit(const ModelConfig& config, int arrays, const std::string& where) {
  const double needed = static_cast<double>(parameter_count(config)) * arrays * sizeof(float);
  const double limit = memory_limit_bytes();
  if (needed <= limit) return;
  const auto mib = [](double bytes) { return std::to_string(std::llround(bytes / 1048576)); };
  throw InputError({"the model does not fit in memory", mib(needed) + " MiB",
                    "at most " + mib(limit) + " MiB", where, ""});
}

void read_tensors(const SafetensorsFile& file, const ParameterLayout& layout,
                  const std::string& prefix, Values values, float* out) {
  std::fill(out, out + layout.flat_size(), 0.0f);
  for (const TensorEntry& entry : layout.tensors()) {
    const StoredTensor* const tensor = file.find(prefix + entry.name);
    if (tensor == nullptr) refuse_missing(file, prefix + entry.name);
    read_checked(file, *tensor, entry, values, out);
  }
}

void read_model_parameters(const std::string& folder, const ParameterLayout& layout, float* out) {
  const std::string path = in(folder, kWeightsName);
  if (!is_there(path)) {
    throw InputError({"no weights here", "no model.safetensors", "one file of weights", folder,
                      "save the model with safe_serialization and in one shard"});
  }
  verify_files(folder, {kConfigName, kWeightsName});
  const bool tied = read_model_config(folder).tied_head;
  const SafetensorsFile file(path);
  check_nothing_else(file, layout);
  std::fill(out, out + layout.flat_size(), 0.0f);
  for (const TensorEntry& entry : layout.tensors()) {
    const StoredTensor* const tensor = find_model_tensor(file, entry.name);
    if (tensor == nullptr) refuse_missing(file, entry.name);
    read_checked(file, *tensor, entry, Values::kFinite, out);
  }
  check_head(file, layout, tied, out);
  check_biases(file, layout, out);
}

}  // namespace cllm
