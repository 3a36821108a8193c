#include "typed_words.h"

#include <algorithm>
#include <map>

#include "cllm/error.h"
#include "cllm/options.h"

namespace {

/// Says whether a word is an option; "-5" is a value.
bool is_option(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && std::string("0123456789.").find(word[1]) == word.npos;
}

/// Returns the names of options, each once, as they were typed.
std::vector<std::string> names_in(const std::vector<std::string>& words) {
  std::vector<std::string> names;
  for (const std::string& word : words) {
    const std::string name = word.substr(0, word.find('='));
    const bool is_new = std::find(names.begin(), names.end(), name) == names.end();
    if (is_option(word) && is_new) names.push_back(name);
  }
  return names;
}

}  // namespace

std::vector<std::string> typed_words(int argc, char** argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  for (std::string& word : words) {
    if (word == "--") break;
    if (word.rfind("--", 0) != 0) continue;
    const auto end =
        word.begin() + static_cast<std::ptrdiff_t>(std::min(word.find('='), word.size()));
    std::replace(word.begin(), end, '_', '-');
  }
  return {words.rbegin(), words.rend()};
}

void refuse_repeated(const std::vector<std::string>& words,
                     const std::function<std::string(const std::string&)>& option_of) {
  std::map<std::string, std::string> seen;
  for (auto word = words.rbegin(); word != words.rend() && *word != "--"; ++word) {
    if (word->rfind("--", 0) != 0) continue;
    const std::string name = word->substr(0, word->find('='));
    const std::string option = option_of(name.substr(2));
    if (option.empty()) continue;
    const auto [first, is_new] = seen.emplace(option, name);
    if (!is_new) cllm::refuse_repeated_option(first->second, name);
  }
}

void refuse_left_over(const std::vector<std::string>& words,
                      const std::function<std::string(const std::string&)>& hint_of) {
  const std::vector<std::string> names = names_in(words);
  if (names.empty()) {
    throw cllm::InputError(cllm::ErrorParts{"a value without an option",
                                            "\"" + words.front() + "\"", "--OPTION VALUE",
                                            "command line", "see --help"});
  }
  cllm::refuse_unknown_options(names, "command line", hint_of);
}
