#include "checkpoint/carried_files.h"

#include <cstddef>
#include <filesystem>

#include "base/files.h"
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

}  // namespace

ExtraFiles carried_files(const std::string& folder) {
  verify_files(folder, {}, names());
  ExtraFiles files;
  for (const std::string& name : names()) {
    const std::string path = (std::filesystem::path(folder) / name).string();
    if (!is_there(path)) continue;
    std::size_t size = 0;
    open_for_reading(path, &size);
    if (size > kMostBytes) {
      throw InputError({"too large for what it should be", std::to_string(size) + " bytes",
                        "at most " + std::to_string(kMostBytes), path, ""});
    }
    files.emplace_back(name, read_text_file(path));
  }
  return files;
}

const std::string* find_file(const ExtraFiles& files, const std::string& name) {
  for (const auto& [key, text] : files) {
    if (key == name) return &text;
  }
  return nullptr;
}

}  // namespace cllm
