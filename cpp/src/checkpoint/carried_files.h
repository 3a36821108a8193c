// A model folder made by others holds more than weights; these files make a copy of it complete.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "data/data_set.h"

namespace cllm {

/// Holds further files of a folder, by name and contents, such as the tokenizer.json of a
/// fine-tuned model.
using ExtraFiles = std::vector<std::pair<std::string, std::string>>;

/// Reads tokenizer, chat template, generation settings and config.json of a model folder, byte for
/// byte. They are checked against the manifest where it lists them. Throws InputError for a file
/// that cannot be read or is larger than 64 MiB, which no such file is.
ExtraFiles carried_files(const std::string& folder);

/// Returns the files that give a new model the tokenizer of a data set: those of the tokenizer,
/// byte for byte but for the model's context in tokenizer_config.json, where transformers cuts
/// texts, and a config.json and a generation_config.json which name the end-of-text token. A data
/// set of bytes gives none: byte models bring their own. Throws InputError for a file that is
/// missing or not what dataset.json says.
ExtraFiles carried_files(const DataSet& set, std::int64_t context);

/// Makes generation_config.json name these tokens among those that end a text. A file that does is
/// left as it is.
void add_end_tokens(ExtraFiles& files, const std::vector<std::int32_t>& ends);

/// Returns the contents of `name`; nullptr when it is not among them.
const std::string* find_file(const ExtraFiles& files, const std::string& name);

}  // namespace cllm
