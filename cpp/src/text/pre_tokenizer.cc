#include "text/pre_tokenizer.h"

#include <utility>

#include "text/byte_letters.h"

namespace cllm {

std::vector<std::string> words_of(std::string_view text, const std::vector<WordStep>& steps) {
  std::vector<std::string> words = {std::string(text)};
  for (const WordStep& step : steps) {
    if (step.add_prefix_space) {
      for (std::string& word : words) {
        if (word.front() != ' ') word.insert(0, 1, ' ');
      }
    }
    for (const Pattern& pattern : step.patterns) {
      std::vector<std::string> pieces;
      for (const std::string& word : words) pattern.split(word, pieces);
      words = std::move(pieces);
    }
    if (step.is_byte_level) {
      for (std::string& word : words) word = spell_bytes(word);
    }
  }
  return words;
}

}  // namespace cllm
