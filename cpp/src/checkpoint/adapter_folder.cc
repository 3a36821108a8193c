#include "checkpoint/adapter_folder.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/crc32c.h"
#include "base/files.h"
#include "base/json_text.h"
#include "base/refuse.h"
#include "checkpoint/manifest.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/model_weights.h"
#include "checkpoint/safetensors.h"

namespace cllm {
namespace {

constexpr const char* kPrefix = "base_model.model.";
constexpr const char* kHead = "base_model.model.lm_head.weight";
constexpr const char* kA = ".lora_A.weight";
constexpr const char* kTieThem =
    "train head and embedding as one: ensure_weight_tying=True in PEFT";
constexpr const char* kForBase = "was it trained beside this model?";

std::string in(const std::string& folder, const std::string& name) {
  return (std::filesystem::path(folder) / name).string();
}

SafetensorsFile open_adapters(const std::string& folder) {
  const std::string path = in(folder, kAdapterWeightsName);
  if (!is_there(path)) {
    refuse("no adapter here", std::string("no ") + kAdapterWeightsName,
           "its tensors beside " + std::string(kAdapterConfigName), folder,
           is_there(in(folder, "adapter_model.bin"))
               ? "adapter_model.bin is a pickle: save it again, with save_pretrained of PEFT"
               : "");
  }
  return SafetensorsFile(path);
}

/// Returns the linear maps that have an A in the file, without the prefix.
std::vector<std::string> modules_of(const SafetensorsFile& file) {
  std::vector<std::string> names;
  const std::string prefix = kPrefix, end = kA;
  for (const StoredTensor& tensor : file.tensors()) {
    const std::string& name = tensor.name;
    const bool is_a = name.size() > prefix.size() + end.size() && name.rfind(prefix, 0) == 0 &&
                      name.compare(name.size() - end.size(), end.size(), end) == 0;
    if (!is_a) continue;
    names.push_back(name.substr(prefix.size(), name.size() - prefix.size() - end.size()));
  }
  return names;
}

/// Returns the token embedding of a model whose head it is too, if it is trained; else null. PEFT
/// stores it under the names of both.
const TensorEntry* tied_embedding(const ParameterLayout& layout) {
  const std::int64_t at = layout.among_adapters(layout.token_embedding());
  if (at == kAbsent || !layout.network().tied()) return nullptr;
  const std::vector<TensorEntry>& tensors = layout.trainables().tensors();
  return &*std::find_if(tensors.begin(), tensors.end(),
                        [at](const TensorEntry& entry) { return entry.offset == at; });
}

/// Reads a tied embedding under its second name, and checks that it is the same.
void check_tied(const SafetensorsFile& file, const TensorEntry& embedding, const float* adapters) {
  std::vector<float> head(static_cast<std::size_t>(embedding.size));
  read_tensor(file, kHead, embedding, Values::kFinite, head.data());
  if (std::equal(head.begin(), head.end(), adapters + embedding.offset)) return;
  refuse("the head is not the token embedding, which it is in this model", "other numbers",
         "those of \"" + std::string(kPrefix) + embedding.name + "\"",
         file.path() + ": tensor \"" + kHead + "\"", kTieThem);
}

/// Checks that the file has all tensors of the adapters and no others.
void check_tensors(const SafetensorsFile& file, const ParameterLayout& layout) {
  std::vector<std::string> known;
  std::vector<TensorEntry> entries = layout.trainables().tensors();
  const TensorEntry* const tied = tied_embedding(layout);
  if (tied != nullptr) {
    entries.push_back(*tied);
    entries.back().name = kHead + std::strlen(kPrefix);
  }
  for (const TensorEntry& entry : entries) {
    known.push_back(kPrefix + entry.name);
    const StoredTensor* const tensor = file.find(known.back());
    if (tensor == nullptr) {
      refuse("tensor is missing", "none of that name", "\"" + known.back() + "\"", file.path(),
             tied != nullptr && entry.offset == tied->offset ? kTieThem : kForBase);
    }
    if (tensor->shape == entry.shape) continue;
    refuse("tensor has another shape than the model and the rank ask for",
           shape_text(tensor->shape), shape_text(entry.shape),
           file.path() + ": tensor \"" + tensor->name + "\"", kForBase);
  }
  std::sort(known.begin(), known.end());
  for (const StoredTensor& tensor : file.tensors()) {
    if (std::binary_search(known.begin(), known.end(), tensor.name)) continue;
    refuse("tensor does not belong to the adapter", "\"" + tensor.name + "\"",
           std::string("what the targets and modules to save in ") + kAdapterConfigName + " have",
           file.path(), kForBase);
  }
}

}  // namespace

bool is_adapter_folder(const std::string& folder) {
  return is_there(in(folder, kAdapterConfigName)) && !is_there(in(folder, "config.json"));
}

std::vector<TensorView> adapter_views(const ParameterLayout& layout, const float* adapters) {
  std::vector<TensorView> views = tensor_views(layout.trainables(), adapters, kPrefix);
  if (const TensorEntry* const tied = tied_embedding(layout)) {
    views.push_back({kHead, tied->shape, adapters + tied->offset});
  }
  return views;
}

void add_adapter_files(FolderWriter& writer, const ParameterLayout& layout, const float* adapters,
                       const std::string& base, bool byte_tokens, const ExtraFiles& extra,
                       WeightType type) {
  writer.add_text(kAdapterConfigName, adapter_config_json(layout, base));
  add_tokenizer_files(writer, layout.config(), byte_tokens, extra);
  writer.add_tensors(kAdapterWeightsName, adapter_views(layout, adapters), type);
}

AdapterDescription read_adapter_config(const std::string& folder) {
  const std::string path = in(folder, kAdapterConfigName);
  verify_files(folder, {kAdapterConfigName});
  return parse_adapter_config(read_json_file(path), path,
                              [&folder] { return modules_of(open_adapters(folder)); });
}

void check_adapter(const std::string& folder, const LoraConfig& lora, const ModelConfig& model) {
  check(lora, model, lora_key_names(in(folder, kAdapterConfigName)));
}

void read_adapters(const std::string& folder, const ParameterLayout& layout, float* adapters) {
  const SafetensorsFile file = open_adapters(folder);
  verify_files(folder, {kAdapterWeightsName});
  check_tensors(file, layout);
  read_tensors(file, layout.trainables(), kPrefix, Values::kFinite, adapters);
  if (const TensorEntry* const tied = tied_embedding(layout)) check_tied(file, *tied, adapters);
}

void WeightsChecksum::add(const TensorEntry& entry, const float* parameters) noexcept {
  crc_ =
      crc32c(parameters + entry.offset, static_cast<std::size_t>(entry.size) * sizeof(float), crc_);
}

std::string WeightsChecksum::text() const {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", crc_);
  return text;
}

}  // namespace cllm
