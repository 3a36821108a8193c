// The tables that this build holds, one translation unit each; which may run is features.h's call.
#pragma once

#include "cpu/kernel_table.h"

namespace cllm {

const KernelTable& scalar_kernels();

// In builds with CLLM_SIMD only. REQUIRES of a caller of their entries: the CPU has the ISA.
const KernelTable& avx2_kernels();
const KernelTable& avx512_kernels();
const KernelTable& avx512bf16_kernels();

}  // namespace cllm
