#include "checkpoint/weight_type.h"

#include <array>
#include <cmath>
#include <cstring>

namespace cllm {
namespace {

struct Names {
  const char *option, *config, *dtype;
  std::size_t bytes;
};
constexpr std::array<Names, 3> kNames = {{{"fp32", "float32", "F32", 4},
                                          {"bf16", "bfloat16", "BF16", 2},
                                          {"fp16", "float16", "F16", 2}}};

const Names& names_of(WeightType type) noexcept { return kNames[static_cast<std::size_t>(type)]; }

std::uint32_t bits_of(float value) noexcept {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

float from_bits(std::uint32_t bits) noexcept {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// Drops the lowest bits, rounding to nearest, ties to even.
std::uint32_t rounded(std::uint32_t bits, int dropped) noexcept {
  const std::uint32_t half = 1u << (dropped - 1);
  return (bits + (half - 1) + (bits >> dropped & 1u)) >> dropped;
}

}  // namespace

const char* option_name(WeightType type) noexcept { return names_of(type).option; }
const char* config_name(WeightType type) noexcept { return names_of(type).config; }
const char* dtype_name(WeightType type) noexcept { return names_of(type).dtype; }
std::size_t bytes_of(WeightType type) noexcept { return names_of(type).bytes; }

std::optional<WeightType> weight_type_named(const std::string& name) noexcept {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i].option) return static_cast<WeightType>(i);
  }
  return std::nullopt;
}

std::uint16_t to_bfloat16(float value) noexcept {
  const std::uint32_t bits = bits_of(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
  return static_cast<std::uint16_t>(rounded(bits, 16));
}

std::uint16_t to_float16(float value) noexcept {
  const std::uint32_t bits = bits_of(value), magnitude = bits & 0x7FFFFFFFu;
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  const auto with_sign = [sign](std::uint32_t half) {
    return static_cast<std::uint16_t>(sign | half);
  };
  if (magnitude > 0x7F800000u) return with_sign(0x7E00u);
  if (magnitude >= 0x47800000u) return with_sign(0x7C00u);  // 65536 and more
  // Normal halves begin at 2^-14. Rounding may carry into the exponent, which is then right too.
  if (magnitude >= 0x38800000u) return with_sign(rounded(magnitude - (112u << 23), 13));
  return with_sign(static_cast<std::uint32_t>(std::nearbyint(std::fabs(value) * 0x1p24f)));
}

float from_bfloat16(std::uint16_t bits) noexcept {
  return from_bits(static_cast<std::uint32_t>(bits) << 16);
}

float from_float16(std::uint16_t half) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fu, mantissa = half & 0x3ffu;
  if (exponent == 31) return from_bits(sign | 0x7f800000u | mantissa << 13);
  if (exponent != 0) return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  return sign != 0 ? -magnitude : magnitude;
}

}  // namespace cllm
