// A split says which part of the tokens is trained on, and which is kept to judge the result.
#pragma once

#include <cstdint>

#include "data/token_source.h"

namespace cllm {

/// Holds tokens begin .. end - 1 of a source that outlives the range.
struct TokenRange {
  const TokenSource* source = nullptr;
  std::int64_t begin = 0;
  std::int64_t end = 0;

  std::int64_t size() const noexcept { return end - begin; }
  bool empty() const noexcept { return begin == end; }
  /// Copies tokens offset .. offset + count - 1 of the range into out[count]. Throws as the source
  /// does. REQUIRES: 0 <= offset, 0 <= count, offset + count <= size().
  void copy(std::int64_t offset, std::int64_t count, std::int32_t* out) const {
    source->copy(begin + offset, count, out);
  }
};

inline TokenRange whole(const TokenSource& source) noexcept { return {&source, 0, source.size()}; }

struct Split {
  TokenRange train;
  /// Empty when it was left out, because a prediction needs two tokens. The caller says so once.
  TokenRange validation;
};

/// The last tenth validates: everything after the first floor(9/10 n) tokens. Where that is under
/// two tokens, all of them train.
inline Split split_train_validation(TokenRange all) noexcept {
  const std::int64_t cut = all.begin + all.size() / 10 * 9 + all.size() % 10 * 9 / 10;
  if (all.end - cut < 2) return {all, {all.source, all.end, all.end}};
  return {{all.source, all.begin, cut}, {all.source, cut, all.end}};
}

}  // namespace cllm
