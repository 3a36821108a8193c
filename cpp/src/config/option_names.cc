// These functions find the nearest known name to a mistyped one.
#include <algorithm>

#include "cllm/options.h"

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

/// Returns a name in the form for comparison: without leading dashes, underscores as dashes, lower
/// case.
std::string plain(const std::string& name) {
  std::string text = name.substr(std::min(name.find_first_not_of('-'), name.size()));
  for (char& c : text) {
    if (c == '_') c = '-';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text.substr(0, 64);  // no known name is longer, and the cost is a product of lengths
}

}  // namespace

std::string nearest_name(const std::string& name, const std::vector<std::string>& among) {
  const std::string wanted = plain(name);
  std::size_t fewest = 0;
  const std::string* best = nullptr;
  for (const std::string& candidate : among) {
    const std::size_t n = edits(wanted, plain(candidate));
    if (best == nullptr || n < fewest) {
      fewest = n;
      best = &candidate;
    }
  }
  return best == nullptr ? "" : *best;
}

std::string nearest_option(const std::string& name, const std::vector<std::string>& more) {
  std::vector<std::string> known = more;
  for (const Option& option : options()) known.push_back(option.name);
  for (const Option& option : options()) {
    known.insert(known.end(), option.also.begin(), option.also.end());
  }
  std::string nearest = nearest_name(name, known);
  for (const Option& option : options()) {
    if (std::find(option.also.begin(), option.also.end(), nearest) != option.also.end()) {
      return option.name;
    }
  }
  return nearest;
}

}  // namespace cllm
