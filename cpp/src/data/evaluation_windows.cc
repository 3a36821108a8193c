#include "data/evaluation_windows.h"

#include <algorithm>

namespace cllm {

EvaluationWindows::EvaluationWindows(TokenRange range, std::int64_t sequence,
                                     std::int64_t tokens) noexcept
    : range_(range), sequence_(sequence) {
  const std::int64_t total = targets_total(), full = total / sequence;
  const std::int64_t wanted = tokens / sequence + (tokens % sequence > 0 ? 1 : 0);
  const bool all = tokens == 0 || wanted > full;
  windows_ = all ? full + (total % sequence > 0 ? 1 : 0) : full;
  size_ = all ? windows_ : wanted;
  targets_ = all ? total : wanted * sequence;
}

EvaluationWindow EvaluationWindows::operator[](std::int64_t index) const noexcept {
  // The middle of part `index`, of as many equal parts as there are windows in the sample.
  const std::int64_t each = windows_ / size_, rest = windows_ % size_;
  const std::int64_t window = index * each + each / 2 + (index * rest + rest / 2) / size_;
  const std::int64_t start = window * sequence_;
  return {start, std::min(sequence_, targets_total() - start)};
}

std::int64_t EvaluationWindows::fill(std::int64_t first, std::int64_t count, std::int32_t* inputs,
                                     std::int32_t* targets) const {
  std::int64_t counted = 0;
  for (std::int64_t row = 0; row < count; ++row) {
    const EvaluationWindow window =
        first + row < size() ? (*this)[first + row] : EvaluationWindow{};
    std::int32_t* const in = inputs + row * sequence_;
    std::int32_t* const out = targets + row * sequence_;
    if (window.length > 0) {
      range_.copy(window.start, window.length, in);
      range_.copy(window.start + 1, window.length, out);
    }
    std::fill(in + window.length, in + sequence_, 0);
    std::fill(out + window.length, out + sequence_, kIgnored);
    counted += window.length;
  }
  range_.source->check_unchanged();
  return counted;
}

}  // namespace cllm
