// oneDNN's C functions are found at run time. The library is never linked, so that a program starts
// without it.
#pragma once

#ifdef CLLM_ONEDNN

#include <string>

#include "oneapi/dnnl/dnnl.h"
#include "oneapi/dnnl/dnnl_debug.h"

namespace cllm {

// These functions are used, named without their dnnl_ prefix.
#define CLLM_ONEDNN_FUNCTIONS(f)                                                        \
  f(version) f(set_max_cpu_isa) f(get_effective_cpu_isa) f(status2str) f(engine_create) \
      f(engine_destroy) f(stream_create) f(stream_wait) f(stream_destroy)               \
          f(memory_desc_create_with_strides) f(memory_desc_destroy) f(memory_create)    \
              f(memory_set_data_handle) f(memory_destroy) f(post_ops_create)            \
                  f(post_ops_append_sum) f(post_ops_destroy) f(primitive_attr_create)   \
                      f(primitive_attr_set_post_ops) f(primitive_attr_destroy)          \
                          f(matmul_primitive_desc_create) f(primitive_desc_destroy)     \
                              f(primitive_create) f(primitive_execute) f(primitive_destroy)

/// Immutable once loaded. The library stays loaded, because unloading an OpenMP runtime is not
/// safe.
struct OneDnn {
#define CLLM_ONEDNN_DECLARE(name) decltype(&dnnl_##name) name = nullptr;
  CLLM_ONEDNN_FUNCTIONS(CLLM_ONEDNN_DECLARE)
#undef CLLM_ONEDNN_DECLARE
  /// These belong to the OpenMP runtime that this oneDNN uses; null when it uses none.
  void (*omp_set_num_threads)(int) = nullptr;
  int (*omp_get_max_threads)() = nullptr;

  std::string problem;  ///< why none of the above can be used; empty when all can
};

/// Looks in $CLLM_ONEDNN_LIBRARY, else where the build found the library, else where the loader
/// finds libdnnl.so.3. The first call loads it and may change environment variables for a moment,
/// so make it before starting threads that read them.
const OneDnn& onednn();

/// Returns "avx512_core" and the like.
const char* onednn_isa_name(dnnl_cpu_isa_t isa);

}  // namespace cllm

#endif  // CLLM_ONEDNN
