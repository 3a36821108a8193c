// This file builds the avx2 kernels.
#define CLLM_VEC_AVX2
#include "cpu/kernels/table.h"

#include "cpu/kernels/tables.h"

namespace cllm {

const KernelTable& avx2_kernels() { return kTable; }

}  // namespace cllm
