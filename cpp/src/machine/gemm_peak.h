// MFU is counted against the rate of the fastest product on one core of this machine.
#pragma once

#include <algorithm>
#include <cstdint>

#include "gemm/gemm.h"
#include "model/precision.h"

namespace cllm {

/// Returns the GFLOP/s of the fastest product on the calling thread, among several shapes that
/// steps have. Takes about 75 ms, once a process. Steps may still be faster if others disturbed the
/// measurement.
double measure_gemm_peak(GemmBackend backend, const KernelTable& kernels, Precision precision);

/// Holds the peak of one core, raised to any higher rate that was reached, so that a share is at
/// most 1.
class PeakRate {
 public:
  explicit PeakRate(double gflops) : gflops_(gflops) {}
  double gflops() const noexcept { return gflops_; }
  /// Returns a rate of `workers` workers together as a part of their peak.
  double share(double gflops, std::int64_t workers) noexcept {
    const double each = gflops / static_cast<double>(workers);
    gflops_ = std::max(gflops_, each);
    return each / gflops_;
  }

 private:
  double gflops_;
};

}  // namespace cllm
