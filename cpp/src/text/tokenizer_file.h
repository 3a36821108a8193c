// tokenizer.json of Hugging Face describes a tokenizer; those of byte-level BPE are read here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/pre_tokenizer.h"

namespace cllm {

/// Holds what a tokenizer.json says.
struct TokenizerFile {
  BpeParts bpe;
  std::vector<AddedToken> added;
  bool composes = false;  ///< the normalizer is NFC
  std::vector<WordStep> steps;
  std::vector<std::int32_t> before, after;  ///< tokens that are put around every text
  bool is_byte_level = true;                ///< tokens spell bytes; false: they are text
};

/// A vocabulary of 150 000 tokens takes about 10 MB, so a tokenizer.json may be larger than other
/// JSON files. Vocabulary and merges are taken as they are parsed, and of the rest no more values
/// than this are kept.
constexpr std::size_t kMostTokenizerBytes = std::size_t{64} << 20;
constexpr std::size_t kMostTokenizerValues = 200'000;

/// Throws InputError, naming `where`, for what is no tokenizer.json, and for kinds of tokenizers
/// that are not run here, each by its name.
TokenizerFile parse_tokenizer_json(std::string_view text, const std::string& where);

/// Returns split_special_tokens of a tokenizer_config.json: whether the names of special tokens are
/// text. It is false where the file does not say.
bool parse_split_special(std::string_view text, const std::string& where);

}  // namespace cllm
