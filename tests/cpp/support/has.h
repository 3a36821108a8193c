// Tests of messages look for a text with this.
#pragma once

#include <string>

namespace cllm {

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace cllm
