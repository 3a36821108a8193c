// An evaluation predicts rows of tokens: windows of a text, or packed examples.
#pragma once

#include <cstdint>

#include "base/token_rows.h"

namespace cllm {

/// Returns which of `all` is number `index` of a sample that is spread evenly over them: the middle
/// of part `index`, of as many equal parts as the sample has. REQUIRES: 0 <= index < sample <= all.
inline std::int64_t spread(std::int64_t index, std::int64_t sample, std::int64_t all) noexcept {
  const std::int64_t each = all / sample, rest = all % sample;
  return index * each + each / 2 + (index * rest + rest / 2) / sample;
}

/// Rows of T tokens, the same in every evaluation. Thread safety: immutable after construction.
class EvaluationRows {
 public:
  virtual ~EvaluationRows() = default;

  /// Returns the number of rows.
  virtual std::int64_t size() const noexcept = 0;
  /// Counts the targets in these rows together: the divisor of the mean loss.
  virtual std::int64_t targets() const noexcept = 0;
  /// Counts the targets that there are, of which these may be a sample.
  virtual std::int64_t targets_total() const noexcept = 0;
  /// Says whether rows hold several documents, so that fill() needs first keys.
  virtual bool has_documents() const noexcept = 0;
  /// Fills rows first .. first + count - 1 of T tokens each. Places past a row's end, and rows past
  /// the last one, get input 0 and target kNotCounted; they change nothing before them. Throws
  /// DataError when the file is not what it was when it was opened. REQUIRES: 0 <= first.
  virtual void fill(std::int64_t first, std::int64_t count, const RowsToFill& to) const = 0;

 protected:
  EvaluationRows() = default;
  EvaluationRows(const EvaluationRows&) = default;
  EvaluationRows& operator=(const EvaluationRows&) = default;
};

}  // namespace cllm
