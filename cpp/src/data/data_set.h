// A data set is a folder that `cllm prepare` made: token files, their tokenizer, and dataset.json,
// which says what they are.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace cllm {

/// Holds what dataset.json says, as far as training needs it.
struct DataSet {
  static constexpr const char* kName = "dataset.json";
  struct File {
    std::string name;
    std::string sha256;  ///< in hex
  };

  std::string folder;
  bool byte_tokens = false;     ///< ids are bytes, and 256 ends a text
  std::int64_t vocabulary = 0;  ///< every id is below it
  std::int32_t end_of_text = 0;
  std::string tokenizer_sha256;         ///< of tokenizer.json, in hex
  std::vector<File> tokenizer_files;    ///< tokenizer.json and those beside it
  std::vector<std::string> train;       ///< paths of token files, in their order
  std::vector<std::string> validation;  ///< the same; empty when nothing was kept apart
  /// Holds the file of the marks of each of these (data/mark.h); empty unless they are examples.
  std::map<std::string, std::string> marks;
  std::vector<std::int32_t> answer_ends;  ///< tokens that end answers, the most frequent first

  bool has_examples() const noexcept { return !marks.empty(); }

  std::string path(const std::string& name) const { return folder + "/" + name; }
};

/// Says whether a folder holds dataset.json.
bool is_data_set(const std::string& folder);

/// Reads dataset.json. Throws InputError, which names it, when it is not what `cllm prepare`
/// writes: another format or version, a value of another type, a file name that leads out of the
/// folder, a data set without tokens.
DataSet read_data_set(const std::string& folder);

}  // namespace cllm
