// Windows show which tokens of the validation part an evaluation predicts: all of them, or a sample
// that is the same in every evaluation.
#pragma once

#include <cstdint>

#include "data/split.h"

namespace cllm {

/// Says where a window's inputs start in the range, and how many targets it has.
struct EvaluationWindow {
  std::int64_t start = 0;
  std::int64_t length = 0;
};

/// The range is cut into windows of T tokens that lie side by side; the last may be shorter. All of
/// them together predict every token but the first exactly once. A sample takes whole windows of
/// it, spread evenly over the range, because a text changes from its begin to its end. It depends
/// on sizes only, so that the losses of one run, and of runs with the same settings, are of the
/// same tokens. A target at the start of a window is predicted from little context, as is usual
/// where losses are compared at a fixed T. Thread safety: immutable after construction.
class EvaluationWindows {
 public:
  /// No loss counts this target.
  static constexpr std::int32_t kIgnored = -1;

  /// Takes as few windows as hold `tokens` targets; all of them when that is 0, or more than the
  /// whole windows hold. REQUIRES: range.size() >= 2, sequence >= 1, tokens >= 0; the range's
  /// source outlives this.
  EvaluationWindows(TokenRange range, std::int64_t sequence, std::int64_t tokens = 0) noexcept;

  /// Returns the number of windows.
  std::int64_t size() const noexcept { return size_; }
  /// Counts the targets in these windows together: the divisor of the mean loss.
  std::int64_t targets() const noexcept { return targets_; }
  /// Counts the targets that the range has.
  std::int64_t targets_total() const noexcept { return range_.size() - 1; }
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
  std::int64_t windows_;  // that the range is cut into, or those of full length for a sample
  std::int64_t size_;
  std::int64_t targets_;
};

}  // namespace cllm
