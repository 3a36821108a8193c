#include "checkpoint/carried_files.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/json_text.h"
#include "base/sha256.h"
#include "checkpoint/manifest.h"
#include "cllm/error.h"

namespace cllm {
namespace {

constexpr std::size_t kMostBytes = std::size_t{64} << 20;

const std::vector<std::string>& names() {
  static const std::vector<std::string> all = {"config.json",       "generation_config.json",
                                               "tokenizer.json",    "tokenizer_config.json",
                                               "vocab.json",        "merges.txt",
                                               "added_tokens.json", "special_tokens_map.json",
                                               "tokenizer.model",   "chat_template.jinja"};
  return all;
}

bool is_carried(const std::string& name) {
  return std::find(names().begin(), names().end(), name) != names().end();
}

/// Says whether a file is of the model and not of its tokenizer.
bool is_settings(const std::string& name) {
  return name == "config.json" || name == "generation_config.json";
}

std::string read_limited(const std::string& path) {
  std::size_t size = 0;
  open_for_reading(path, &size);
  if (size > kMostBytes) {
    throw InputError({"too large for what it should be", std::to_string(size) + " bytes",
                      "at most " + std::to_string(kMostBytes), path, ""});
  }
  return read_text_file(path);
}

using Json = nlohmann::ordered_json;

/// Returns a file's JSON object; an empty one for no file, and for what is none.
Json object_of(const ExtraFiles& files, const std::string& name) {
  const std::string* const text = find_file(files, name);
  if (text == nullptr) return Json::object();
  check_json_text(*text, name);
  Json object = Json::parse(*text, nullptr, false);
  return object.is_object() ? object : Json::object();
}

/// Returns a tokenizer_config.json that says where texts are cut.
std::string with_context(const std::string& text, std::int64_t context) {
  check_json_text(text, "tokenizer_config.json");
  auto settings = Json::parse(text, nullptr, false);
  if (!settings.is_object()) return text;
  settings["model_max_length"] = context;
  return settings.dump(2) + "\n";
}

}  // namespace

ExtraFiles carried_files(const std::string& folder) {
  verify_files(folder, {}, names());
  ExtraFiles files;
  for (const std::string& name : names()) {
    const std::string path = (std::filesystem::path(folder) / name).string();
    if (is_there(path)) files.emplace_back(name, read_limited(path));
  }
  return files;
}

ExtraFiles carried_files(const DataSet& set, std::int64_t context) {
  ExtraFiles files;
  if (set.byte_tokens) return files;
  for (const DataSet::File& file : set.tokenizer_files) {
    if (is_settings(file.name) || !is_carried(file.name)) continue;
    const std::string path = set.path(file.name);
    std::string text = read_limited(path);
    if (hex(sha256(text)) != file.sha256) {
      throw InputError({"this file is not the one that the data set was made with",
                        "SHA-256 " + hex(sha256(text)), file.sha256, path,
                        "put it back as it was, or prepare the data set again"});
    }
    if (file.name == "tokenizer_config.json") text = with_context(text, context);
    files.emplace_back(file.name, std::move(text));
  }
  const std::string end = std::to_string(set.end_of_text);
  const std::string ends = "{\"bos_token_id\": " + end + ", \"eos_token_id\": " + end;
  files.emplace_back("config.json", ends + "}");
  files.emplace_back("generation_config.json", ends + ", \"_from_model_config\": true}\n");
  add_end_tokens(files, set.answer_ends);
  return files;
}

void add_end_tokens(ExtraFiles& files, const std::vector<std::int32_t>& ends) {
  constexpr const char* kFile = "generation_config.json";
  constexpr const char* kKey = "eos_token_id";
  Json settings = object_of(files, kFile);
  // Without that file, or key, config.json says what ends a text.
  Json known = settings.contains(kKey) ? settings[kKey] : object_of(files, "config.json")[kKey];
  if (!known.is_array()) known = known.is_number_integer() ? Json::array({known}) : Json::array();
  const std::size_t before = known.size();
  for (const std::int32_t end : ends) {
    if (std::find(known.begin(), known.end(), Json(end)) == known.end()) known.push_back(end);
  }
  if (known.size() == before) return;
  settings[kKey] = known.size() == 1 ? known[0] : known;
  std::string text = settings.dump(2) + "\n";
  for (auto& [name, contents] : files) {
    if (name == kFile) {
      contents = std::move(text);
      return;
    }
  }
  files.emplace_back(kFile, std::move(text));
}

const std::string* find_file(const ExtraFiles& files, const std::string& name) {
  for (const auto& [key, text] : files) {
    if (key == name) return &text;
  }
  return nullptr;
}

}  // namespace cllm
