// These make the rows of the lists of cases: what a kernel's operands are, and how it is called.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "cpu/kernel_cases.h"

namespace cllm::kernel_rows {

using Table = const KernelTable&;
using Sizes = const KernelSizes&;
using Pointers = OperandPointers;
using Elements = std::int64_t (*)(Table, Sizes);

constexpr Dropout kDropout{1, 2, 3, 6554, 65536.0f / (65536 - 6554)};  // a tenth

// With sanitizers the addresses of inline functions are no constants. No list uses all of these.
[[maybe_unused]] static std::int64_t matrix(Table, Sizes s) { return s.rows * s.columns; }
[[maybe_unused]] static std::int64_t row(Table, Sizes s) { return s.columns; }
[[maybe_unused]] static std::int64_t column(Table, Sizes s) { return s.rows; }
[[maybe_unused]] static std::int64_t one(Table, Sizes) { return 1; }
[[maybe_unused]] static std::int64_t left(Table, Sizes s) { return s.rows * s.depth; }
[[maybe_unused]] static std::int64_t right(Table, Sizes s) { return s.depth * s.columns; }

template <class T>
constexpr bool kHalves = std::is_same_v<T, Bf16>;

// A product keeps its rows of A for a row of tiles, whose B and C are new.
constexpr KernelOperand of(OperandUse use, bool bf16, Elements elements,
                           OperandValues values = OperandValues::kAny) {
  const bool stays = use == OperandUse::kScratch || elements == row || elements == column ||
                     elements == one || elements == left;
  return {use, bf16, stays ? OperandPlace::kStays : OperandPlace::kElsewhere, values, elements};
}
template <class T = float>
constexpr KernelOperand read(Elements elements, OperandValues values = OperandValues::kAny) {
  return of(OperandUse::kRead, kHalves<T>, elements, values);
}
template <class T = float>
constexpr KernelOperand written(Elements elements) {
  return of(OperandUse::kWrite, kHalves<T>, elements);
}
constexpr KernelOperand updated(Elements elements, OperandValues values = OperandValues::kAny) {
  return of(OperandUse::kUpdate, false, elements, values);
}
inline constexpr KernelOperand kNoOperand{};

using Call = void (*)(Table, Sizes, Pointers);
using Operations = double (*)(Sizes);
struct Variants {
  const char* names[KernelCase::kMostVariants];
};

template <class T, std::size_t N>
constexpr KernelCase work(KernelShape shape, const char* name, const KernelOperand (&operands)[N],
                          Operations operations, Call call, Variants variants = {}) {
  KernelCase it{name, kHalves<T>, shape, {}, {}, operations, call};
  for (std::size_t i = 0; i < N; ++i) it.operand[i] = operands[i];
  for (int i = 0; i < KernelCase::kMostVariants; ++i) it.variants[i] = variants.names[i];
  return it;
}
template <class T = float, std::size_t N>
constexpr KernelCase row_pass(const char* name, const KernelOperand (&operands)[N], Call call,
                              Variants variants = {}) {
  return work<T>(KernelShape::kRows, name, operands, nullptr, call, variants);
}
template <std::size_t N>
constexpr KernelCase flat_pass(const char* name, const KernelOperand (&operands)[N], Call call,
                               Variants variants = {}) {
  return work<float>(KernelShape::kFlat, name, operands, nullptr, call, variants);
}

// A step calls the kernels that follow a product on that product: in place where they store floats.
// Where they store Bf16, the product is an operand of its own, the last.
template <class T>
constexpr KernelOperand made(Elements elements) {
  return kHalves<T> ? written<T>(elements) : updated(elements);
}
template <class T>
constexpr KernelOperand product(Elements elements, OperandPlace place = OperandPlace::kStays) {
  return kHalves<T> ? KernelOperand{OperandUse::kRead, false, place, OperandValues::kAny, elements}
                    : kNoOperand;
}
template <class T>
const float* made_from(Pointers p, int made, int product) {
  return p.of<const float>(kHalves<T> ? product : made);
}

}  // namespace cllm::kernel_rows
