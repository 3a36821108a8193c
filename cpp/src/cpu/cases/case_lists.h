// The list of all cases is made of one list for each kind of kernel.
#pragma once

#include <cstddef>
#include <iterator>

#include "cpu/kernel_cases.h"

namespace cllm {

// T is the type of the activations, float or Bf16.
template <class T>
Span<const KernelCase> attention_cases();
template <class T>
Span<const KernelCase> row_cases();
template <class T>
Span<const KernelCase> product_cases();
Span<const KernelCase> float_cases();

/// Counts the functions of a part of the kernel table: each needs a case.
template <class Table>
constexpr std::size_t kFunctions = sizeof(Table) / sizeof(void (*)());

}  // namespace cllm
