// A kernel's description answers questions about its operands and fills them with values.
#include <algorithm>

#include "cpu/kernel_cases.h"

namespace cllm {

int KernelCase::operands() const {
  int count = 0;
  while (count < kMostOperands && operand[count].elements != nullptr) ++count;
  return count;
}

int KernelCase::variant_count() const {
  int count = 0;
  while (count < kMostVariants && variants[count] != nullptr) ++count;
  return std::max(1, count);
}

std::string KernelCase::name(int variant) const {
  const std::string all = (bf16 ? "bf16_" : "") + std::string(kernel);
  return variants[variant] == nullptr ? all : all + "/" + variants[variant];
}

std::int64_t KernelCase::bytes_moved(const KernelTable& table, const KernelSizes& sizes) const {
  std::int64_t bytes = 0;
  for (int i = 0; i < operands(); ++i) {
    if (operand[i].use == OperandUse::kScratch) continue;
    bytes += operand[i].bytes(table, sizes) * (operand[i].use == OperandUse::kUpdate ? 2 : 1);
  }
  return bytes;
}

void fill_operand(const KernelOperand& operand, const KernelTable& table, const KernelSizes& sizes,
                  std::uint32_t seed, void* data) {
  const std::int64_t elements = operand.elements(table, sizes);
  std::uint32_t state = seed * 7919u + 1;
  for (std::int64_t i = 0; i < elements; ++i) {
    state = state * 1664525u + 1013904223u;
    float value = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
    if (operand.values == OperandValues::kLarge) value += 5.0f;
    if (operand.values == OperandValues::kOnes) value = 1.0f;
    if (operand.values == OperandValues::kTurns) value = 0.70710678f;
    if (operand.bf16) {
      static_cast<Bf16*>(data)[i] = to_bf16(value);
    } else if (operand.values == OperandValues::kTargets) {
      const auto columns = static_cast<std::uint32_t>(sizes.columns);
      static_cast<std::int32_t*>(data)[i] = static_cast<std::int32_t>((state >> 8) % columns);
    } else {
      static_cast<float*>(data)[i] = value;
    }
  }
}

}  // namespace cllm
