// Numbers become words that people read.
#pragma once

#include <cstdint>
#include <string>

namespace cllm {

/// Returns "1,234,567".
inline std::string grouped(std::int64_t n) {
  std::string text = std::to_string(n);
  const std::size_t first = n < 0 ? 1 : 0;
  for (std::size_t at = text.size(); at > first + 3;) text.insert(at -= 3, 1, ',');
  return text;
}

/// Returns "1 step", "2,000 steps".
inline std::string counted(std::int64_t n, const char* what) {
  return grouped(n) + " " + what + (n == 1 ? "" : "s");
}

}  // namespace cllm
