// The name of data stands for one file, for several, or for a data set with its validation part.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/data_set.h"

namespace cllm {

/// Holds the files that a name stands for.
struct DataFiles {
  std::string name;                     ///< as the user gave it
  std::vector<std::string> train;       ///< at least one path, in the order of the data
  std::vector<std::string> validation;  ///< empty when the name brings none
  std::optional<DataSet> set;           ///< when the name is the folder of one

  /// Returns the validation files or, where there are none, the others: what a model is judged by.
  const std::vector<std::string>& judged() const noexcept {
    return validation.empty() ? train : validation;
  }
  /// Returns the files of the marks of some token files, when they are examples; else none.
  std::vector<std::string> marks_of(const std::vector<std::string>& paths) const;
  /// Says whether ids of token files are known to be bytes.
  bool byte_tokens() const noexcept { return set.has_value() && set->byte_tokens; }
};

/// Finds the files of a name. It is, in this order: a file; a folder of `cllm prepare`; a folder of
/// token files, of which those with "val" as a word of their name validate, as nanoGPT's train.bin
/// and val.bin or llm.c's fineweb_train_000001.bin; a pattern such as "shards/*.bin" (glob(7)).
/// Several files are sorted by name. Throws InputError for a folder or a pattern without such
/// files; a name of nothing is returned as one file, whose opening says what is wrong.
DataFiles find_data_files(const std::string& name);

/// Says whether there is anything under the name.
bool data_is_there(const std::string& name);

}  // namespace cllm
