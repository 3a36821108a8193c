// These functions find options by their names, and answer a name that is not known: with what it
// stands for, or with a near one.
#include <algorithm>
#include <map>

#include "cllm/error.h"
#include "cllm/options.h"
#include "config/option_answers.h"
#include "config/plain_name.h"

namespace cllm {
namespace {

/// Counts the insertions, deletions, replacements and swaps of neighbours that turn a into b.
std::size_t edits(const std::string& a, const std::string& b) {
  const std::size_t n = b.size() + 1;
  std::vector<std::size_t> before(n), above(n), row(n);
  for (std::size_t j = 0; j < n; ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j < n; ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(above);
    above.swap(row);
  }
  return above[n - 1];
}

/// Says whether so few edits turn one name into the other that it may be meant.
bool is_near(std::size_t n, const std::string& a, const std::string& b) {
  return 3 * n <= std::max(a.size(), b.size());
}

}  // namespace

NamedOption named_option(const std::string& name) {
  std::string key = name;
  std::replace(key.begin(), key.end(), '-', '_');
  for (const Option& option : options()) {
    if (option.key == key) return {&option, nullptr};
    for (const OptionAlias& alias : option.aliases) {
      if (alias.key == key) return {&option, &alias};
    }
  }
  return {};
}

const Option* find_option(const std::string& name) { return named_option(name).option; }

std::string near_name(const std::string& name, const std::vector<std::string>& among) {
  const std::string wanted = plain_name(name);
  std::size_t fewest = 0;
  const std::string* best = nullptr;
  for (const std::string& candidate : among) {
    const std::string known = plain_name(candidate);
    const std::size_t n = edits(wanted, known);
    if (is_near(n, wanted, known) && (best == nullptr || n < fewest)) {
      fewest = n;
      best = &candidate;
    }
  }
  return best == nullptr ? "" : *best;
}

std::string unknown_option_hint(const std::string& name, Wording how,
                                const std::vector<std::string>& more) {
  std::map<std::string, std::string> meanings;  // of words that are not accepted
  std::vector<std::string> known = more;
  for (const Option& option : options()) known.push_back(option.name);
  for (const Option& option : options()) {
    for (const OptionAlias& alias : option.aliases) known.push_back(alias.name());
    for (const std::string& word : option.also) {
      known.push_back(word);
      meanings[word] = option.name;
    }
  }
  std::string answer = answer_to(name, training_answers());
  if (!answer.empty()) return answer;
  std::string near = near_name(name, known);
  if (near.empty()) {
    return wording() == Wording::kCommandLine ? "see --help" : "cllm.options() lists them";
  }
  if (meanings.count(near) > 0) near = meanings[near];
  if (how == Wording::kCommandLine) return "did you mean --" + near + "?";
  std::replace(near.begin(), near.end(), '-', '_');
  return "did you mean \"" + near + "\"?";
}

void refuse_unknown_options(const std::vector<std::string>& names, const std::string& where,
                            const std::function<std::string(const std::string& name)>& hint_of) {
  const auto seen = [](const std::string& name) {
    return name.rfind('-', 0) == 0 ? name : "\"" + name + "\"";
  };
  if (names.size() == 1) {
    throw InputError({"unknown option", seen(names[0]), "", where, hint_of(names[0])});
  }
  std::string text = where + ": unknown options: got ";
  for (const std::string& name : names) {
    text += (&name == &names.front() ? "" : ", ") +
            Error::format({seen(name), "", "", "", hint_of(name)});
  }
  throw InputError(text);
}

}  // namespace cllm
