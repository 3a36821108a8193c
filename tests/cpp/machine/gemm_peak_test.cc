// These tests check the measured peak of products, and that no share of it is above 1.
#include "machine/gemm_peak.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(PeakRate, IsRaisedToWhatWasReached) {
  PeakRate peak(100);
  EXPECT_DOUBLE_EQ(peak.share(50, 1), 0.5);
  EXPECT_DOUBLE_EQ(peak.share(100, 2), 0.5);
  EXPECT_DOUBLE_EQ(peak.share(210, 2), 1);
  EXPECT_DOUBLE_EQ(peak.gflops(), 105);
  EXPECT_DOUBLE_EQ(peak.share(52.5, 1), 0.5);
}

TEST(GemmPeak, IsMeasuredForWhatCanBeUsed) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    const double peak = measure_gemm_peak(GemmBackend::kNative, kernels(), precision);
    EXPECT_GT(peak, 0.01);
    EXPECT_EQ(measure_gemm_peak(GemmBackend::kNative, kernels(), precision), peak) << "once";
  }
}

}  // namespace
}  // namespace cllm
