// Kernels and models are compared to this: dropout element by element, as cpu/dropout.h defines it.
#pragma once

#include <array>

#include "base/rng.h"
#include "cpu/dropout.h"

namespace cllm {

inline bool reference_keeps(const Dropout& dropout, std::int64_t row, std::int64_t column) {
  const std::array<std::uint32_t, 4> words =
      philox4x32<7>(dropout.key, {static_cast<std::uint32_t>(column / 64 * 8 + column % 32 / 4),
                                  static_cast<std::uint32_t>(row), dropout.place, dropout.head});
  const std::uint32_t word = words[static_cast<std::size_t>(column % 64 / 32 * 2 + column % 4 / 2)];
  return (column % 2 == 0 ? word & 0xFFFFu : word >> 16) >= dropout.threshold;
}

/// Returns the factor of an element.
inline double reference_factor(const Dropout& dropout, std::int64_t row, std::int64_t column) {
  return reference_keeps(dropout, row, column) ? 65536.0 / (65536.0 - dropout.threshold) : 0.0;
}

}  // namespace cllm
