// This says whether a test runs under a sanitizer, which makes everything about ten times slower.
#pragma once

#include <cstddef>
#include <vector>

namespace cllm {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

/// Returns the cases or, under a sanitizer, the first and every third after it: numbers differ
/// between cases, threads and memory hardly do.
template <class Case>
std::vector<Case> fewer_if_sanitized(const std::vector<Case>& cases) {
  std::vector<Case> fewer;
  for (std::size_t i = 0; i < cases.size(); i += kSanitized ? 3 : 1) fewer.push_back(cases[i]);
  return fewer;
}

}  // namespace cllm
