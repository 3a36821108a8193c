// The oneDNN backend makes products with oneDNN's matmul primitive, if its library can be loaded.
#pragma once

#include <memory>
#include <string>

#include "gemm/gemm.h"

namespace cllm {

/// Says whether the library can be used. The first call of any of these four functions loads it.
bool onednn_available();

/// Says whether it is available and multiplies bf16, by AMX or AVX-512.
bool onednn_takes_bf16();

/// Returns "onednn 3.2.0 avx512_core" or the like, or why it is not available.
std::string describe_onednn();

/// Makes an instance that keeps one primitive for each kind of call; `kernels` round weights to
/// bf16. REQUIRES of run: m, n, k >= 1. Throws InputError when the library is not available.
std::unique_ptr<Gemm> make_onednn_gemm(const KernelTable& kernels);

}  // namespace cllm
