#include "checkpoint/weight_files.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json_text.h"
#include "cllm/error.h"

namespace cllm {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostFiles = 1000;

std::string in(const std::string& folder, const std::string& name) {
  return (std::filesystem::path(folder) / name).string();
}

[[noreturn]] void refuse_index(const std::string& where, const std::string& what,
                               const std::string& seen, const std::string& wanted) {
  throw InputError({what, seen, wanted, where, "the index is damaged, or of other weights"});
}

/// Says whether a name is that of a safetensors file in the same folder.
bool is_weight_file(const std::string& name) {
  constexpr const char* kEnd = ".safetensors";
  const std::size_t length = std::char_traits<char>::length(kEnd);
  return name.size() > length && name.compare(name.size() - length, length, kEnd) == 0 &&
         name.find('/') == name.npos && name.find('\0') == name.npos && name.front() != '.';
}

std::map<std::string, std::string> read_index(const std::string& path) {
  return parse_weight_index(read_json_file(path), path);
}

std::vector<std::string> files_of(const std::map<std::string, std::string>& index) {
  std::vector<std::string> names;
  for (const auto& [tensor, file] : index) names.push_back(file);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

/// Checks that the index names this file for each of its tensors.
void check_file(const SafetensorsFile& file, const std::string& name,
                const std::map<std::string, std::string>& index, const std::string& where) {
  for (const StoredTensor& tensor : file.tensors()) {
    const auto found = index.find(tensor.name);
    if (found == index.end()) {
      refuse_index(where, "a tensor is not in the index", "\"" + tensor.name + "\" of " + name,
                   "every tensor");
    }
    if (found->second != name) {
      refuse_index(where, "a tensor is in two files or in another one than the index says",
                   "\"" + tensor.name + "\" in " + name, found->second);
    }
  }
}

}  // namespace

std::map<std::string, std::string> parse_weight_index(const std::string& text,
                                                      const std::string& where) {
  check_json_text(text, where);
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::exception& error) {
    refuse_index(where, "not JSON", error.what(), "an index of safetensors files");
  }
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (map == json.end() || !map->is_object() || map->empty()) {
    refuse_index(where, "no \"weight_map\"", json.type_name(), "the file of each tensor");
  }
  std::map<std::string, std::string> files;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || !is_weight_file(file.get_ref<const std::string&>())) {
      refuse_index(where, "no name of a file of weights: tensor \"" + tensor + "\"",
                   file.dump(-1, ' ', true).substr(0, 200),
                   "the name of a .safetensors file beside the index");
    }
    files.emplace(tensor, file.get<std::string>());
  }
  if (files_of(files).size() > kMostFiles) {
    refuse_index(where, "too many files", std::to_string(files_of(files).size()),
                 "at most " + std::to_string(kMostFiles));
  }
  return files;
}

std::vector<std::string> weight_file_names(const std::string& folder) {
  if (is_there(in(folder, kWeightsName))) return {kWeightsName};
  if (is_there(in(folder, kWeightIndexName))) {
    return files_of(read_index(in(folder, kWeightIndexName)));
  }
  return {};
}

WeightFiles::WeightFiles(const std::string& folder) : path_(in(folder, kWeightsName)) {
  if (is_there(path_)) {
    files_.push_back(std::make_unique<SafetensorsFile>(path_));
    return;
  }
  path_ = in(folder, kWeightIndexName);
  if (!is_there(path_)) {
    throw InputError({"no weights here", "no model.safetensors and no index of several files",
                      "weights as safetensors", folder,
                      "save the model again, with save_pretrained of `transformers`"});
  }
  const std::map<std::string, std::string> index = read_index(path_);
  for (const std::string& name : files_of(index)) {
    const std::string file = in(folder, name);
    if (!is_there(file)) refuse_index(path_, "a file of weights is missing", name, "it here");
    files_.push_back(std::make_unique<SafetensorsFile>(file));
    check_file(*files_.back(), name, index, path_);
  }
  for (const auto& [tensor, file] : index) {
    if (!find(tensor)) {
      refuse_index(path_, "a tensor is not where the index says", "\"" + tensor + "\"", file);
    }
  }
}

FoundTensor WeightFiles::find(const std::string& name) const noexcept {
  for (const auto& file : files_) {
    if (const StoredTensor* const tensor = file->find(name)) return {file.get(), tensor};
  }
  return {};
}

}  // namespace cllm
