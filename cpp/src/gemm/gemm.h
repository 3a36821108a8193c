// All matrix products go through this interface; a worker owns one instance and calls it for each
// tile.
#pragma once

#include <memory>
#include <string>

#include "cpu/kernel_table.h"

namespace cllm {

/// Thread safety: an instance belongs to the thread that made it.
///
/// Bits: the same call (form, m, n, k, leading dimensions, accumulate) gives the same bits on every
/// thread and at every address. The bits of native products depend on k alone, whatever the cut.
class Gemm {
 public:
  virtual ~Gemm() = default;
  virtual void run(const GemmArgs& args) = 0;
  virtual void run(const Bf16GemmArgs& args) = 0;
  virtual void run(const Bf16WeightGemmArgs& args) = 0;
  virtual void run(const StoredWeightGemmArgs& args) = 0;
  /// Multiplies by a B that KernelTable's pack_weight made. REQUIRES: a native backend.
  virtual void run(const PackedGemmArgs<float>& args) = 0;
  virtual void run(const PackedGemmArgs<Bf16>& args) = 0;
};

enum class GemmBackend { kNative, kOneDnn };

/// Parses "native" or "onednn"; throws InputError with the names that exist for any other name.
GemmBackend parse_gemm_backend(const std::string& name);
const char* gemm_backend_name(GemmBackend backend);

/// Returns the backend that an option names, the default for `auto`. Throws InputError for a name
/// that does not exist, and for a backend that is not available here, or not for bf16 when `bf16`
/// is set.
GemmBackend choose_gemm_backend(const std::string& name, bool bf16);

/// Says whether the backend can be made here: oneDNN needs its library and may be left out of a
/// build.
bool gemm_backend_available(GemmBackend backend);

/// Says whether the backend can multiply bf16 here; oneDNN can only where it may use AVX-512.
bool gemm_backend_takes_bf16(GemmBackend backend);

/// Returns what `auto` means on this machine. Measurement decided: see benchmarks/experiments.md.
GemmBackend default_gemm_backend();

/// Returns the backend's library version and the kind of kernel that it runs, for logs and the
/// trainer state, such as "native avx512" or "onednn 3.2.0 avx512_core".
std::string describe_gemm_backend(GemmBackend backend, const KernelTable& kernels);

/// Makes an instance for the calling thread. Throws InputError when the backend is not available.
std::unique_ptr<Gemm> make_gemm(GemmBackend backend, const KernelTable& kernels);

}  // namespace cllm
