// Products by oneDNN's matmul primitive, when its library can be loaded.
#pragma once

#include <memory>
#include <string>

#include "gemm/gemm.h"

namespace cllm {

/// Loads the library at the first call of any of these four.
bool onednn_available();

/// Whether it is available and multiplies bf16: by AMX or AVX-512.
bool onednn_takes_bf16();

/// "onednn 3.2.0 avx512_core", or why it is not available.
std::string describe_onednn();

/// An instance that keeps one primitive for each kind of call; `kernels` round weights to bf16.
/// REQUIRES of run: m, n, k >= 1. Throws InputError when the library is not available.
std::unique_ptr<Gemm> make_onednn_gemm(const KernelTable& kernels);

}  // namespace cllm
