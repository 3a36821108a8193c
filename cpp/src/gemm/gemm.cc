#include "gemm/gemm.h"

#include "cllm/error.h"
#include "cllm/wording.h"
#include "cpu/features.h"
#include "gemm/native.h"
#include "gemm/onednn.h"

namespace cllm {

GemmBackend parse_gemm_backend(const std::string& name) {
  for (const GemmBackend backend : {GemmBackend::kNative, GemmBackend::kOneDnn}) {
    if (name == gemm_backend_name(backend)) return backend;
  }
  throw InputError(ErrorParts{"unknown backend for matrix products", "'" + name + "'",
                              "native or onednn", "gemm", ""});
}

const char* gemm_backend_name(GemmBackend backend) {
  return backend == GemmBackend::kNative ? "native" : "onednn";
}

bool gemm_backend_available(GemmBackend backend) {
  return backend == GemmBackend::kNative || onednn_available();
}

bool gemm_backend_takes_bf16(GemmBackend backend) {
  return backend == GemmBackend::kNative || onednn_takes_bf16();
}

// Native products are the default everywhere. On a Zen 5 core (peak 282 GFLOP/s) they reach 230 to
// 276 GFLOP/s on the tiles of a step, oneDNN 3.2 215 to 281. Each is within 10 % of the other on
// all tiles but one, and native is ahead on their total (benchmarks/gemm_bench.cc). What decides is
// what oneDNN cannot give: bits that do not depend on the cut or on leading dimensions, no
// dependency, no OpenMP runtime.
GemmBackend default_gemm_backend() { return GemmBackend::kNative; }

std::string describe_gemm_backend(GemmBackend backend, const KernelTable& kernels) {
  if (backend == GemmBackend::kNative) return std::string("native ") + kernels.name;
  return describe_onednn();
}

GemmBackend choose_gemm_backend(const std::string& name, bool bf16) {
  const GemmBackend backend = name == "auto" ? default_gemm_backend() : parse_gemm_backend(name);
  make_gemm(backend, kernels());  // throws and says why
  if (bf16 && !gemm_backend_takes_bf16(backend)) {
    throw InputError(
        ErrorParts{"products of bf16 need AVX-512", describe_gemm_backend(backend, kernels()),
                   "native, or fp32", option_word("gemm", gemm_backend_name(backend)),
                   option_word("gemm", "native") + " multiplies bf16 with every instruction set"});
  }
  return backend;
}

std::unique_ptr<Gemm> make_gemm(GemmBackend backend, const KernelTable& kernels) {
  if (backend == GemmBackend::kNative) return make_native_gemm(kernels);
  return make_onednn_gemm(kernels);
}

}  // namespace cllm
