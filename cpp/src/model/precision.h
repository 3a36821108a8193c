// A Precision says how the operands of a training step's products are stored and multiplied.
#pragma once

#include <cstdint>
#include <string>

namespace cllm {

/// Parameters, gradients, moments, the residual stream and all sums are floats in both.
enum class Precision : std::uint8_t {
  kFp32,
  kBf16,  ///< operands of products are Bf16, their sums are floats
};

inline const char* precision_name(Precision precision) noexcept {
  return precision == Precision::kBf16 ? "bf16" : "fp32";
}

/// Returns the precision with this name. REQUIRES: one of the names above.
inline Precision parse_precision(const std::string& name) noexcept {
  return name == precision_name(Precision::kBf16) ? Precision::kBf16 : Precision::kFp32;
}

}  // namespace cllm
