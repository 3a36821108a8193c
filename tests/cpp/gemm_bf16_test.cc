// Native products of bf16: right for every shape and instruction set, odd k included, and the same
// bits however they are cut, wherever the operands lie and whichever thread computes.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gemm_case.h"

namespace cllm {
namespace {

using testing::GemmCaseOf;
using testing::Matrix;
using testing::same_bits;

using Bf16Case = GemmCaseOf<Bf16>;
using WeightCase = GemmCaseOf<Bf16, float>;

constexpr GemmForm kForms[] = {GemmForm::kNN, GemmForm::kNT, GemmForm::kTN};

class Bf16Gemm : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    table_ = find_kernels(GetParam());
    if (table_ == nullptr) GTEST_SKIP() << GetParam() << " cannot run here";
    gemm_ = make_gemm(GemmBackend::kNative, *table_);
  }
  template <class Case>
  void expect_right(Case test) {
    const Matrix before = test.c;
    gemm_->run(test.args());
    test.expect_right(before);
  }

  const KernelTable* table_ = nullptr;
  std::unique_ptr<Gemm> gemm_;
};

TEST_P(Bf16Gemm, IsRightForSmallAndOddShapes) {
  for (const GemmForm form : kForms) {
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
  for (const GemmForm form : kForms) {
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
  for (const GemmForm form : kForms) {
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

TEST_P(Bf16Gemm, BitsDoNotDependOnTheCut) {
  for (const GemmForm form : kForms) {
    for (const bool accumulate : {false, true}) {
      Bf16Case whole(form, 107, 203, 1101, accumulate);
      gemm_->run(whole.args());
      for (const auto& [height, width] : std::vector<std::pair<std::int64_t, std::int64_t>>{
               {1, 203}, {107, 1}, {4, 64}, {13, 17}, {64, 48}, {106, 100}, {97, 203}}) {
        Bf16Case cut(form, 107, 203, 1101, accumulate);
        for (std::int64_t j = 0; j < 203; j += width) {
          for (std::int64_t i = 0; i < 107; i += height) {
            gemm_->run(cut.args(i, j, std::min(height, 107 - i), std::min(width, 203 - j)));
          }
        }
        EXPECT_TRUE(same_bits(whole.c, cut.c))
            << whole.name() << " by " << height << " x " << width;
      }
    }
  }
}

TEST_P(Bf16Gemm, BitsDoNotDependOnWhereTheOperandsLie) {
  for (const GemmForm form : kForms) {
    Bf16Case plain(form, 50, 90, 701, true);
    gemm_->run(plain.args());
    for (const std::int64_t gap : {1, 6, 1024 - 90}) {
      for (const std::int64_t before : {0, 1, 7, 15}) {
        Bf16Case moved(form, 50, 90, 701, true, gap, before);
        gemm_->run(moved.args());
        EXPECT_TRUE(same_bits(plain.c, moved.c)) << moved.name() << " from " << before;
      }
    }
  }
}

TEST_P(Bf16Gemm, ThreadsGiveTheSameBits) {
  constexpr int kThreads = 4;
  for (const GemmForm form : kForms) {
    Bf16Case alone(form, 96, 130, 521, false);
    gemm_->run(alone.args());
    Bf16Case shared(form, 96, 130, 521, false);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        const std::unique_ptr<Gemm> own = make_gemm(GemmBackend::kNative, *table_);
        own->run(shared.args(t * 24, 0, 24, 130));
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(same_bits(alone.c, shared.c)) << alone.name();
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, Bf16Gemm, ::testing::Values("scalar", "avx2", "avx512", "avx512bf16"),
                         [](const auto& suite) { return std::string(suite.param); });

}  // namespace
}  // namespace cllm
