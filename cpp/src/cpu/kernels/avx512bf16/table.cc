// The avx512 kernels once more, compiled for CPUs that multiply bf16: no other difference.
#define CLLM_VEC_AVX512
#include "cpu/kernels/table.h"

#include "cpu/kernels/tables.h"

namespace cllm {

const KernelTable& avx512bf16_kernels() { return kTable; }

}  // namespace cllm
