// A bf16 is the upper half of a float; --precision bf16 stores the operands of products this way.
#pragma once

#include <cstdint>
#include <cstring>

namespace cllm {

struct Bf16 {
  std::uint16_t bits;  ///< sign, eight bits of exponent, seven of mantissa
};

/// Says how many numbers of a type fit in the place of a float.
template <class T>
constexpr std::int64_t kPerFloat = 1;
template <>
inline constexpr std::int64_t kPerFloat<Bf16> = 2;

/// Rounds to nearest, ties to even. A NaN stays a (quiet) NaN. A float below the normal range
/// becomes a zero of its sign, because the units that multiply bf16 treat it as zero. The kernels
/// have vector versions of this, with the same bits.
inline Bf16 to_bf16(float x) noexcept {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) {
    bits |= 0x00400000u;
  } else if (magnitude < 0x00800000u) {
    bits &= 0x80000000u;
  } else {
    bits += 0x7FFFu + ((bits >> 16) & 1u);
  }
  return {static_cast<std::uint16_t>(bits >> 16)};
}

inline float to_float(Bf16 x) noexcept {
  const std::uint32_t bits = std::uint32_t{x.bits} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace cllm
