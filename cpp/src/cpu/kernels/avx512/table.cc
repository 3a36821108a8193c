// This file builds the avx512 kernels.
#define CLLM_VEC_AVX512
#include "cpu/kernels/table.h"

#include "cpu/kernels/tables.h"

namespace cllm {

const KernelTable& avx512_kernels() { return kTable; }

}  // namespace cllm
