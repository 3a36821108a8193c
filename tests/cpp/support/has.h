// What tests of messages look for.
#pragma once

#include <string>

namespace cllm {

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace cllm
