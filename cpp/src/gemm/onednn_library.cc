#include "gemm/onednn_library.h"

#ifdef CLLM_ONEDNN

#include <dlfcn.h>
#include <sched.h>

#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "cpu/kernel_table.h"

namespace cllm {
namespace {

/// Takes the variables away that bind threads, and restores them and the thread's own cores at the
/// end of its lifetime. While they are set (Slurm sites set them), loading an OpenMP runtime pins
/// the loading thread to one core, and every thread that it starts inherits that.
class WithoutThreadBinding {
 public:
  WithoutThreadBinding() {
    CPU_ZERO(&cores_);
    has_cores_ = sched_getaffinity(0, sizeof cores_, &cores_) == 0;
    for (const char* name : {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"}) {
      if (const char* value = std::getenv(name)) {
        saved_.emplace_back(name, value);
        unsetenv(name);
      }
    }
  }
  ~WithoutThreadBinding() {
    for (const auto& [name, value] : saved_) setenv(name.c_str(), value.c_str(), 1);
    if (has_cores_) sched_setaffinity(0, sizeof cores_, &cores_);
  }
  WithoutThreadBinding(const WithoutThreadBinding&) = delete;
  WithoutThreadBinding& operator=(const WithoutThreadBinding&) = delete;

 private:
  cpu_set_t cores_;
  bool has_cores_ = false;
  std::vector<std::pair<std::string, std::string>> saved_;
};

void* open_library(std::string* problem) {
  std::vector<std::string> places;
  if (const char* named = std::getenv("CLLM_ONEDNN_LIBRARY")) {
    places = {named};  // a library that the user names is used or refused, never replaced
  } else {
    places = {CLLM_ONEDNN_LIBRARY, "libdnnl.so.3"};
  }
  for (const std::string& place : places) {
    if (void* handle = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL)) return handle;
    const char* reason = dlerror();
    *problem += (problem->empty() ? "" : "; ") + (reason != nullptr ? std::string(reason) : place);
  }
  return nullptr;
}

/// Returns the instruction set that the library may use at most; nothing when there is no limit. It
/// must match our own kernels, because CLLM_ISA promises an instruction set for all arithmetic.
std::optional<dnnl_cpu_isa_t> isa_limit() {
  const char* name = kernels().name;
  if (std::strcmp(name, "avx512") == 0) return dnnl_cpu_isa_avx512_core_vnni;  // below bf16
  if (std::strcmp(name, "avx2") == 0) return dnnl_cpu_isa_avx2;
  if (std::strcmp(name, "scalar") == 0) return dnnl_cpu_isa_sse41;
  return std::nullopt;
}

template <class Function>
void find(void* handle, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(handle, name));
}

OneDnn load() {
  OneDnn library;
  const WithoutThreadBinding guard;
  void* const handle = open_library(&library.problem);
  if (handle == nullptr) return library;
  library.problem.clear();
#define CLLM_ONEDNN_FIND(name)                 \
  find(handle, "dnnl_" #name, &library.name);  \
  if (library.name == nullptr) {               \
    library.problem = "it has no dnnl_" #name; \
    return library;                            \
  }
  CLLM_ONEDNN_FUNCTIONS(CLLM_ONEDNN_FIND)
#undef CLLM_ONEDNN_FIND
  // The lookup goes through the library, so it finds the runtime that the library depends on: a
  // process may hold several.
  find(handle, "omp_set_num_threads", &library.omp_set_num_threads);
  find(handle, "omp_get_max_threads", &library.omp_get_max_threads);
  if (library.version()->major != 3) {
    library.problem = "it is version " + std::to_string(library.version()->major) + ", not 3";
    return library;
  }
  if (const auto limit = isa_limit()) {
    // The library refuses the limit if something else in the process has used it before; then the
    // instruction set in effect decides.
    if (library.set_max_cpu_isa(*limit) != dnnl_success &&
        (library.get_effective_cpu_isa() & ~*limit) != 0) {
      library.problem = std::string("it was used before and cannot be limited to ") +
                        onednn_isa_name(*limit) + " any more";
    }
  }
  return library;
}

}  // namespace

const OneDnn& onednn() {
  static const OneDnn library = load();
  return library;
}

const char* onednn_isa_name(dnnl_cpu_isa_t isa) {
  switch (isa) {
    case dnnl_cpu_isa_sse41:
      return "sse41";
    case dnnl_cpu_isa_avx:
      return "avx";
    case dnnl_cpu_isa_avx2:
      return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
      return "avx2_vnni";
    case dnnl_cpu_isa_avx2_vnni_2:
      return "avx2_vnni_2";
    case dnnl_cpu_isa_avx512_core:
      return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni:
      return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
      return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_fp16:
      return "avx512_core_fp16";
    case dnnl_cpu_isa_avx512_core_amx:
      return "avx512_core_amx";
    case dnnl_cpu_isa_avx512_core_amx_fp16:
      return "avx512_core_amx_fp16";
    default:
      return "baseline";
  }
}

}  // namespace cllm

#endif  // CLLM_ONEDNN
