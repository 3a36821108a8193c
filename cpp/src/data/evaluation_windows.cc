#include "data/evaluation_windows.h"

#include <algorithm>

namespace cllm {

EvaluationWindows::EvaluationWindows(TokenRange range, std::int64_t sequence, std::int64_t tokens,
                                     std::int32_t border) noexcept
    : range_(range), sequence_(sequence), border_(border) {
  const std::int64_t total = range.size() - 1, full = total / sequence;
  const std::int64_t wanted = tokens / sequence + (tokens % sequence > 0 ? 1 : 0);
  const bool all = tokens == 0 || wanted > full;
  windows_ = all ? full + (total % sequence > 0 ? 1 : 0) : full;
  size_ = all ? windows_ : wanted;
  targets_ = all ? total : wanted * sequence;
}

EvaluationWindow EvaluationWindows::operator[](std::int64_t index) const noexcept {
  const std::int64_t start = spread(index, size_, windows_) * sequence_;
  return {start, std::min(sequence_, range_.size() - 1 - start)};
}

void EvaluationWindows::fill(std::int64_t first, std::int64_t count, const RowsToFill& to) const {
  for (std::int64_t row = 0; row < count; ++row) {
    const EvaluationWindow window = first + row < size_ ? (*this)[first + row] : EvaluationWindow{};
    const RowsToFill here = to.from(row * sequence_);
    if (window.length > 0) {
      range_.copy(window.start, window.length, here.inputs);
      range_.copy(window.start + 1, window.length, here.targets);
    }
    std::fill(here.inputs + window.length, here.inputs + sequence_, 0);
    std::fill(here.targets + window.length, here.targets + sequence_, kNotCounted);
    if (has_documents()) find_documents(here.inputs, sequence_, border_, here.first_keys);
  }
  range_.source->check_unchanged();
}

}  // namespace cllm
