// Native products are right for every shape and instruction set. They have the same bits however
// they are cut, wherever the operands lie and whichever thread computes.
#include <cmath>
#include <limits>

#include "gemm_promises.h"

namespace cllm {
namespace {

using testing::GemmCase;
using testing::kGemmForms;
using testing::Matrix;
using testing::same_bits;

class NativeGemm : public testing::NativeProducts {};

TEST_P(NativeGemm, IsRightForSmallAndOddShapes) {
  for (const GemmForm form : kGemmForms) {
    for (const std::int64_t m : {1, 2, 3, 4, 5, 6, 7, 13, 60, 101}) {
      for (const std::int64_t n : {1, 7, 8, 9, 15, 16, 17, 31, 65, 101}) {
        for (const std::int64_t k : {1, 2, 13, 16, 17, 65}) {
          const bool accumulate = (m + n + k) % 2 == 0;
          expect_right(GemmCase(form, m, n, k, accumulate, (m + n) % 5, k % 7));
          expect_right(GemmCase(form, m, n, k, !accumulate, 0, 0));
        }
      }
    }
  }
}

TEST_P(NativeGemm, IsRightAcrossItsBlocks) {
  for (const GemmForm form : kGemmForms) {
    for (const bool accumulate : {false, true}) {
      expect_right(GemmCase(form, 130, 70, 1100, accumulate, 3, 5));  // runs of k, blocks of rows
      expect_right(GemmCase(form, 3, 1601, 40, accumulate, 1, 0));    // blocks of columns
      expect_right(GemmCase(form, 2, 70, 3072, accumulate, 0, 1));    // long and low
    }
  }
}

TEST_P(NativeGemm, OverwritesWhateverWasThere) {
  for (const GemmForm form : kGemmForms) {
    GemmCase test(form, 20, 30, 600, false);
    Matrix& c = test.c;
    for (float& x : c.floats) x = std::numeric_limits<float>::quiet_NaN();
    gemm_->run(test.args());
    for (std::int64_t i = 0; i < 20; ++i) {
      for (std::int64_t j = 0; j < 30; ++j) ASSERT_FALSE(std::isnan(c.at(i, j)));
    }
  }
}

TEST_P(NativeGemm, AnEmptySumIsZero) {
  for (const GemmForm form : kGemmForms) {
    GemmCase stored(form, 5, 20, 0, false);
    gemm_->run(stored.args());
    GemmCase added(form, 5, 20, 0, true);
    const Matrix before = added.c;
    gemm_->run(added.args());
    EXPECT_TRUE(same_bits(added.c, before));
    for (std::int64_t j = 0; j < 20; ++j) EXPECT_EQ(stored.c.at(4, j), 0.0f);
  }
}

TEST_P(NativeGemm, BitsDoNotDependOnTheCut) { expect_same_bits_for_every_cut<GemmCase>(1100); }

TEST_P(NativeGemm, BitsDoNotDependOnWhereTheOperandsLie) {
  expect_same_bits_wherever_operands_lie<GemmCase>(700);
}

TEST_P(NativeGemm, ThreadsGiveTheSameBits) { expect_same_bits_from_threads<GemmCase>(520); }

CLLM_IN_EVERY_ISA(NativeGemm);

}  // namespace
}  // namespace cllm
