// This build holds these tables, each from its own translation unit; features.h says which may run.
#pragma once

#include "cpu/kernel_table.h"

namespace cllm {

const KernelTable& scalar_kernels();

// These exist only in builds with CLLM_SIMD. REQUIRES, to call their entries: the CPU has the ISA.
const KernelTable& avx2_kernels();
const KernelTable& avx512_kernels();
const KernelTable& avx512bf16_kernels();

}  // namespace cllm
