// Windows show which tokens of the validation part an evaluation predicts: all of them, or a sample
// that is the same in every evaluation.
#pragma once

#include <cstdint>

#include "data/documents.h"
#include "data/evaluation_rows.h"
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
class EvaluationWindows final : public EvaluationRows {
 public:
  /// Takes as few windows as hold `tokens` targets; all of them when that is 0, or more than the
  /// whole windows hold. With a `border`, documents are told apart (data/documents.h). REQUIRES:
  /// range.size() >= 2, sequence >= 1, tokens >= 0; the range's source outlives this.
  EvaluationWindows(TokenRange range, std::int64_t sequence, std::int64_t tokens = 0,
                    std::int32_t border = kNoBorder) noexcept;

  std::int64_t size() const noexcept override { return size_; }
  std::int64_t targets() const noexcept override { return targets_; }
  std::int64_t targets_total() const noexcept override { return range_.size() - 1; }
  bool has_documents() const noexcept override { return border_ != kNoBorder; }
  /// REQUIRES: 0 <= index < size().
  EvaluationWindow operator[](std::int64_t index) const noexcept;
  void fill(std::int64_t first, std::int64_t count, const RowsToFill& to) const override;

 private:
  TokenRange range_;
  std::int64_t sequence_;
  std::int32_t border_;
  std::int64_t windows_;  // that the range is cut into, or those of full length for a sample
  std::int64_t size_;
  std::int64_t targets_;
};

}  // namespace cllm
