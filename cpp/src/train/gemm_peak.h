// The rate of a large product on one core of this machine: what MFU is counted against.
#pragma once

#include "gemm/gemm.h"
#include "model/precision.h"

namespace cllm {

/// GFLOP/s of the best of several 768-cubed products on the calling thread: about 50 ms, once
/// a process.
double measure_gemm_peak(GemmBackend backend, const KernelTable& kernels, Precision precision);

}  // namespace cllm
