// The native backend makes products with our own kernels.
#pragma once

#include <memory>

#include "gemm/gemm.h"

namespace cllm {

std::unique_ptr<Gemm> make_native_gemm(const KernelTable& kernels);

}  // namespace cllm
