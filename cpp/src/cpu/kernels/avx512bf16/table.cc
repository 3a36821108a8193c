// This file builds the avx512 kernels once more, with the only difference that the CPU multiplies
// bf16.
#define CLLM_VEC_AVX512
#include "cpu/kernels/table.h"

#include "cpu/kernels/tables.h"

namespace cllm {

const KernelTable& avx512bf16_kernels() { return kTable; }

}  // namespace cllm
