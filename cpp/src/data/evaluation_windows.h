// Windows cover the whole validation part, so that every token but the first is predicted exactly
// once.
#pragma once

#include <cstdint>

#include "data/split.h"

namespace cllm {

/// Says where a window's inputs start in the range, and how many targets it has.
struct EvaluationWindow {
  std::int64_t start = 0;
  std::int64_t length = 0;
};

/// Windows of T tokens lie side by side; the last may be shorter. A target at the start of a window
/// is predicted from little context, as is usual where losses are compared at a fixed T. Thread
/// safety: immutable after construction.
class EvaluationWindows {
 public:
  /// No loss counts this target.
  static constexpr std::int32_t kIgnored = -1;

  /// REQUIRES: range.size() >= 2, sequence >= 1; the range's source outlives this.
  EvaluationWindows(TokenRange range, std::int64_t sequence) noexcept
      : range_(range), sequence_(sequence) {}

  /// Returns the number of windows.
  std::int64_t size() const noexcept { return (targets() + sequence_ - 1) / sequence_; }
  /// Counts the targets in all windows together: the divisor of the mean loss.
  std::int64_t targets() const noexcept { return range_.size() - 1; }
  /// REQUIRES: 0 <= index < size().
  EvaluationWindow operator[](std::int64_t index) const noexcept;

  /// Copies windows first .. first + count - 1 into inputs[count, T] and targets[count, T]. Tokens
  /// past a window's end, and rows past the last window, get input 0 and target kIgnored; attention
  /// only looks back, so they change nothing before them. Returns the number of targets that count.
  /// Throws DataError when the file is not what it was when it was opened. REQUIRES: 0 <= first.
  std::int64_t fill(std::int64_t first, std::int64_t count, std::int32_t* inputs,
                    std::int32_t* targets) const;

 private:
  TokenRange range_;
  std::int64_t sequence_;
};

}  // namespace cllm
