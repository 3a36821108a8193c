// This file builds the scalar kernels.
#define CLLM_VEC_SCALAR
#include "cpu/kernels/table.h"

#include "cpu/kernels/tables.h"

namespace cllm {

const KernelTable& scalar_kernels() { return kTable; }

}  // namespace cllm
