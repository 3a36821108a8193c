// What a model folder of other people holds beside the weights, so that a copy of it is whole.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace cllm {

/// Further files of a folder: name and contents, such as the tokenizer.json of a fine-tuned model.
using ExtraFiles = std::vector<std::pair<std::string, std::string>>;

/// Tokenizer, chat template, generation settings and config.json of a model folder, byte for byte.
/// They are checked against the manifest where it lists them. Throws InputError for one that cannot
/// be read or is larger than such a file is (64 MiB).
ExtraFiles carried_files(const std::string& folder);

/// The contents of `name`; nullptr when it is not among them.
const std::string* find_file(const ExtraFiles& files, const std::string& name);

}  // namespace cllm
