#include "data/evaluation_windows.h"

#include <algorithm>

namespace cllm {

EvaluationWindow EvaluationWindows::operator[](std::int64_t index) const noexcept {
  const std::int64_t start = index * sequence_;
  return {start, std::min(sequence_, targets() - start)};
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
