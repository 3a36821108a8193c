// Weights are stored as 32-bit floats, or rounded to one of two kinds of 16 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace cllm {

enum class WeightType : std::uint8_t { kFloat32, kBfloat16, kFloat16 };

/// Returns "fp32", "bf16" or "fp16", as --save-dtype has it.
const char* option_name(WeightType type) noexcept;
/// Returns "float32", "bfloat16" or "float16", as config.json has it.
const char* config_name(WeightType type) noexcept;
/// Returns "F32", "BF16" or "F16", as safetensors has it.
const char* dtype_name(WeightType type) noexcept;
std::size_t bytes_of(WeightType type) noexcept;
/// Returns the type that is called "fp32", "bf16" or "fp16".
std::optional<WeightType> weight_type_named(const std::string& name) noexcept;

/// These round to nearest, ties to even; what is too large becomes infinite. A bfloat16 keeps small
/// numbers too, unlike the operands of products (base/bf16.h), so that a file which is read and
/// written again is the same file.
std::uint16_t to_bfloat16(float value) noexcept;
std::uint16_t to_float16(float value) noexcept;
float from_bfloat16(std::uint16_t bits) noexcept;
float from_float16(std::uint16_t bits) noexcept;

}  // namespace cllm
