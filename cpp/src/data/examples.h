// Examples are tokens with borders, of which only some are trained: the answers of conversations.
#pragma once

#include <cstdint>
#include <vector>

#include "data/mark.h"
#include "data/token_source.h"

namespace cllm {

/// Knows where each example of a source stands: 12 bytes an example. Thread safety: immutable after
/// construction.
class Examples {
 public:
  /// Looks at every mark. Throws InputError for marks of which the first begins no example.
  /// REQUIRES: source.has_marks(); the source outlives this.
  explicit Examples(const TokenSource& source);

  const TokenSource& source() const noexcept { return *source_; }
  /// Returns the number of examples; at least 1.
  std::int64_t size() const noexcept { return static_cast<std::int64_t>(begins_.size()) - 1; }
  /// Returns the first token of an example in the source. REQUIRES: 0 <= i < size(), as below.
  std::int64_t begin(std::int64_t i) const noexcept { return begins_[static_cast<std::size_t>(i)]; }
  /// Counts the tokens of an example; at least 1.
  std::int64_t length(std::int64_t i) const noexcept { return begin(i + 1) - begin(i); }
  /// Counts the tokens of the longest example.
  std::int64_t longest() const noexcept { return longest_; }
  /// Counts how many of the first `length` tokens of an example are predicted. The first token is
  /// predicted from nothing, so never. Throws DataError as the source does. REQUIRES: length <=
  /// length(i).
  std::int64_t trained(std::int64_t i, std::int64_t length) const;

 private:
  const TokenSource* source_;
  std::vector<std::int64_t> begins_;   // then the number of tokens
  std::vector<std::int32_t> trained_;  // predicted tokens by example
  std::int64_t longest_ = 0;
};

}  // namespace cllm
