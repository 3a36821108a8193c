// Matrix products behind one interface; a worker owns one instance and calls it for each tile.
#pragma once

#include <memory>
#include <string>

#include "cpu/kernel_table.h"

namespace cllm {

/// Thread safety: an instance belongs to the thread that made it.
/// Bits: the same call (form, m, n, k, leading dimensions, accumulate) gives the same bits on every
/// thread and at every address. Native products depend on k alone, whatever the cut.
class Gemm {
 public:
  virtual ~Gemm() = default;
  virtual void run(const GemmArgs& args) = 0;
  virtual void run(const Bf16GemmArgs& args) = 0;
  virtual void run(const Bf16WeightGemmArgs& args) = 0;
  /// By a B that KernelTable's pack_weight made. REQUIRES: a native one.
  virtual void run(const PackedGemmArgs<float>& args) = 0;
  virtual void run(const PackedGemmArgs<Bf16>& args) = 0;
};

enum class GemmBackend { kNative, kOneDnn };

/// "native" or "onednn"; throws InputError with the names that exist.
GemmBackend parse_gemm_backend(const std::string& name);
const char* gemm_backend_name(GemmBackend backend);

/// What an option names, or for `auto` the default. Throws InputError for a name that does not
/// exist and a backend that is not available here, or not for bf16 although products are `bf16`.
GemmBackend choose_gemm_backend(const std::string& name, bool bf16);

/// Whether the backend can be made here: oneDNN needs its library and may be left out of a build.
bool gemm_backend_available(GemmBackend backend);

/// Whether the backend can multiply bf16 here; oneDNN only where it may use AVX-512.
bool gemm_backend_takes_bf16(GemmBackend backend);

/// What `auto` means on this machine. Decided by measurement: see benchmarks/README.md.
GemmBackend default_gemm_backend();

/// The backend's library version and the kind of kernel it runs, for logs and the trainer state,
/// such as "native avx512" or "onednn 3.2.0 avx512_core".
std::string describe_gemm_backend(GemmBackend backend, const KernelTable& kernels);

/// Makes an instance for the calling thread. Throws InputError when the backend is not available.
std::unique_ptr<Gemm> make_gemm(GemmBackend backend, const KernelTable& kernels);

}  // namespace cllm
