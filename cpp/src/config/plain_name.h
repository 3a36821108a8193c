// A name of an option has a plain form, in which it is compared with others.
#pragma once

#include <algorithm>
#include <string>

namespace cllm {

/// Returns a name without leading dashes and a value, with underscores as dashes, in lower case.
inline std::string plain_name(const std::string& name) {
  std::string text = name.substr(std::min(name.find_first_not_of('-'), name.size()));
  text = text.substr(0, std::min<std::size_t>(text.find('='), 64));  // no known name is longer,
  for (char& c : text) {  // and the cost of a comparison is a product of lengths
    if (c == '_') c = '-';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace cllm
