// Token rows are what a pass reads: B sequences of T tokens, one after another.
#pragma once

#include <algorithm>
#include <cstdint>

namespace cllm {

/// No loss counts this target, and no gradient comes from it.
constexpr std::int32_t kNotCounted = -1;

/// Refers to the rows of some sequences; whoever made them keeps them.
template <class Token>
struct TokenRowsOf {
  Token* inputs = nullptr;   ///< [B, T] token ids
  Token* targets = nullptr;  ///< [B, T] token ids, or kNotCounted
  /// [B, T] for each row, the index in its sequence of the first token of its document: positions
  /// count from there, and attention sees nothing before it. Documents lie one after another. Null:
  /// each sequence is one document.
  Token* first_keys = nullptr;

  /// Returns the rows from row `r` on, which begins a sequence.
  TokenRowsOf from(std::int64_t r) const noexcept {
    const auto at = [r](Token* column) { return column == nullptr ? nullptr : column + r; };
    return {at(inputs), at(targets), at(first_keys)};
  }
};

using TokenRows = TokenRowsOf<const std::int32_t>;
/// Are rows that someone writes. Their `first_keys` are null where no one asks for documents.
using RowsToFill = TokenRowsOf<std::int32_t>;

/// Returns how many of targets[rows] are counted.
inline std::int64_t count_targets(const std::int32_t* targets, std::int64_t rows) noexcept {
  return rows - std::count(targets, targets + rows, kNotCounted);
}

}  // namespace cllm
