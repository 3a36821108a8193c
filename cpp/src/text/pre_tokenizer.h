// The pre-tokenizer cuts a text into words, which are merged apart from each other.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/pattern.h"

namespace cllm {

/// Is one of the steps that a text goes through.
struct WordStep {
  std::vector<Pattern> patterns;  ///< one that cuts, or none
  bool is_byte_level = false;     ///< afterwards words are spelled in letters of bytes
  bool add_prefix_space = false;  ///< before that, words begin with a space
};

/// Returns the words of a text without added tokens. REQUIRES: UTF-8, not empty.
std::vector<std::string> words_of(std::string_view text, const std::vector<WordStep>& steps);

}  // namespace cllm
