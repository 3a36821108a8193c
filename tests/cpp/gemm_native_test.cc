// Native products: right for every shape and instruction set, and the same bits however they are
// cut, wherever the operands lie and whichever thread computes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gemm_case.h"

namespace cllm {
namespace {

using testing::GemmCase;
using testing::Matrix;
using testing::same_bits;

constexpr GemmForm kForms[] = {GemmForm::kNN, GemmForm::kNT, GemmForm::kTN};

class NativeGemm : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    table_ = find_kernels(GetParam());
    if (table_ == nullptr) GTEST_SKIP() << GetParam() << " cannot run here";
    gemm_ = make_gemm(GemmBackend::kNative, *table_);
  }
  void expect_right(GemmCase test) {
    const Matrix before = test.c;
    gemm_->run(test.args());
    test.expect_right(before);
  }

  const KernelTable* table_ = nullptr;
  std::unique_ptr<Gemm> gemm_;
};

TEST_P(NativeGemm, IsRightForSmallAndOddShapes) {
  for (const GemmForm form : kForms) {
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
  for (const GemmForm form : kForms) {
    for (const bool accumulate : {false, true}) {
      expect_right(GemmCase(form, 130, 70, 1100, accumulate, 3, 5));  // runs of k, blocks of rows
      expect_right(GemmCase(form, 3, 1601, 40, accumulate, 1, 0));    // blocks of columns
      expect_right(GemmCase(form, 2, 70, 3072, accumulate, 0, 1));    // long and low
    }
  }
}

TEST_P(NativeGemm, OverwritesWhateverWasThere) {
  for (const GemmForm form : kForms) {
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
  for (const GemmForm form : kForms) {
    GemmCase stored(form, 5, 20, 0, false);
    gemm_->run(stored.args());
    GemmCase added(form, 5, 20, 0, true);
    const Matrix before = added.c;
    gemm_->run(added.args());
    EXPECT_TRUE(same_bits(added.c, before));
    for (std::int64_t j = 0; j < 20; ++j) EXPECT_EQ(stored.c.at(4, j), 0.0f);
  }
}

// The promise that lets the planner cut products as it likes: down to single rows, which take
// another path than blocks of rows do.
TEST_P(NativeGemm, BitsDoNotDependOnTheCut) {
  for (const GemmForm form : kForms) {
    for (const bool accumulate : {false, true}) {
      GemmCase whole(form, 107, 203, 1100, accumulate);
      gemm_->run(whole.args());
      for (const auto& [height, width] : std::vector<std::pair<std::int64_t, std::int64_t>>{
               {1, 203}, {107, 1}, {4, 64}, {13, 17}, {64, 48}, {106, 100}, {97, 203}}) {
        GemmCase cut(form, 107, 203, 1100, accumulate);
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

TEST_P(NativeGemm, BitsDoNotDependOnWhereTheOperandsLie) {
  for (const GemmForm form : kForms) {
    GemmCase plain(form, 50, 90, 700, true);
    gemm_->run(plain.args());
    for (const std::int64_t gap : {1, 6, 1024 - 90}) {
      for (const std::int64_t before : {0, 1, 7, 15}) {
        GemmCase moved(form, 50, 90, 700, true, gap, before);
        gemm_->run(moved.args());
        EXPECT_TRUE(same_bits(plain.c, moved.c)) << moved.name() << " from " << before;
      }
    }
  }
}

TEST_P(NativeGemm, ThreadsGiveTheSameBits) {
  constexpr int kThreads = 4;
  for (const GemmForm form : kForms) {
    GemmCase alone(form, 96, 130, 520, false);
    gemm_->run(alone.args());
    GemmCase shared(form, 96, 130, 520, false);
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

INSTANTIATE_TEST_SUITE_P(Isa, NativeGemm,
                         ::testing::Values("scalar", "avx2", "avx512", "avx512bf16"),
                         [](const auto& suite) { return std::string(suite.param); });

}  // namespace
}  // namespace cllm
