// The bits of floats tell whether they are finite, so that loops over many become vector code.
#pragma once

#include <cstdint>
#include <cstring>

namespace cllm {

inline bool is_finite(float value) noexcept {
  constexpr std::uint32_t kExponent = 0x7F800000u;
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return (bits & kExponent) != kExponent;
}

inline bool all_finite(const float* values, std::int64_t count) noexcept {
  std::int64_t wrong = 0;
  for (std::int64_t i = 0; i < count; ++i) wrong += is_finite(values[i]) ? 0 : 1;
  return wrong == 0;
}

}  // namespace cllm
