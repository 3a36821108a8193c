// The rate of the fastest product on one core of this machine: what MFU is counted against.
#pragma once

#include <algorithm>
#include <cstdint>

#include "gemm/gemm.h"
#include "model/precision.h"

namespace cllm {

/// GFLOP/s of the fastest product on the calling thread, of several shapes as steps have them:
/// about 75 ms, once a process. Steps may still reach more, when others disturbed the measurement.
double measure_gemm_peak(GemmBackend backend, const KernelTable& kernels, Precision precision);

/// The peak of one core, raised to what was reached: a share of it is never above 1.
class PeakRate {
 public:
  explicit PeakRate(double gflops) : gflops_(gflops) {}
  double gflops() const noexcept { return gflops_; }
  /// What part of the peak of so many workers a rate of all of them is.
  double share(double gflops, std::int64_t workers) noexcept {
    const double each = gflops / static_cast<double>(workers);
    gflops_ = std::max(gflops_, each);
    return each / gflops_;
  }

 private:
  double gflops_;
};

}  // namespace cllm
