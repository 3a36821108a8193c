// This says whether a test runs under a sanitizer, which makes everything about ten times slower.
#pragma once

namespace cllm {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace cllm
