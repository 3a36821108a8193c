// Native products of bf16 are right for every shape and instruction set, with odd k, too. They have
// the same bits however they are cut, wherever the operands lie and whichever thread computes.
#include "gemm_promises.h"

namespace cllm {
namespace {

using testing::GemmCaseOf;
using testing::kGemmForms;
using testing::same_bits;

using Bf16Case = GemmCaseOf<Bf16>;
using WeightCase = GemmCaseOf<Bf16, float>;

class Bf16Gemm : public testing::NativeProducts {};

TEST_P(Bf16Gemm, IsRightForSmallAndOddShapes) {
  for (const GemmForm form : kGemmForms) {
    for (const std::int64_t m : {1, 2, 5, 6, 7, 13, 101}) {
      for (const std::int64_t n : {1, 7, 8, 15, 16, 17, 33, 65, 101}) {
        for (const std::int64_t k : {1, 2, 13, 16, 17, 33, 66}) {
          const bool accumulate = (m + n + k) % 2 == 0;
          expect_right(Bf16Case(form, m, n, k, accumulate, (m + n) % 5, k % 7));
          expect_right(WeightCase(form, m, n, k, !accumulate, n % 4, m % 3));
        }
      }
    }
  }
}

TEST_P(Bf16Gemm, IsRightAcrossItsBlocks) {
  for (const GemmForm form : kGemmForms) {
    for (const bool accumulate : {false, true}) {
      expect_right(Bf16Case(form, 130, 70, 1100, accumulate, 3, 5));
      expect_right(Bf16Case(form, 130, 70, 1101, accumulate, 0, 0));
      expect_right(Bf16Case(form, 7, 70, 513, accumulate, 1, 0));  // one k alone in its run
      expect_right(WeightCase(form, 3, 1601, 40, accumulate, 1, 0));
      expect_right(WeightCase(form, 2, 70, 3072, accumulate, 0, 1));
    }
  }
}

// Units for bf16 say little about how they round a sum. What their products must not do is round
// the operands' product, or add in less than a float: sums that a float holds are exact.
TEST_P(Bf16Gemm, SumsThatAFloatHoldsAreExact) {
  Bf16Case test(GemmForm::kNN, 7, 33, 64, false);
  for (Bf16& x : test.a.floats) x = to_bf16(0x1.FEp7f);
  for (Bf16& x : test.b.floats) x = to_bf16(0x1.02p-3f);
  gemm_->run(test.args());
  for (std::int64_t j = 0; j < 33; ++j) EXPECT_EQ(test.c.at(6, j), 64.0f * 0x1.FEp7f * 0x1.02p-3f);
}

TEST_P(Bf16Gemm, AWeightIsRoundedAsAnActivationIs) {
  for (const GemmForm form : kGemmForms) {
    WeightCase weight(form, 50, 90, 701, true);
    Bf16Case rounded(form, 50, 90, 701, true);
    for (std::size_t i = 0; i < weight.b.floats.size(); ++i) {
      rounded.b.floats[i] = to_bf16(weight.b.floats[i]);
    }
    gemm_->run(weight.args());
    gemm_->run(rounded.args());
    EXPECT_TRUE(same_bits(weight.c, rounded.c)) << weight.name();
  }
}

TEST_P(Bf16Gemm, BitsDoNotDependOnTheCut) { expect_same_bits_for_every_cut<Bf16Case>(1101); }

TEST_P(Bf16Gemm, BitsDoNotDependOnWhereTheOperandsLie) {
  expect_same_bits_wherever_operands_lie<Bf16Case>(701);
}

TEST_P(Bf16Gemm, ThreadsGiveTheSameBits) { expect_same_bits_from_threads<Bf16Case>(521); }

CLLM_IN_EVERY_ISA(Bf16Gemm);

}  // namespace
}  // namespace cllm
