// Native products promise known answers in every instruction set, whatever their operands; and the
// same bits however they are cut, wherever the operands lie and whichever thread computes.
#pragma once

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gemm_case.h"
#include "isa_test.h"

namespace cllm::testing {

/// Calls part(i, j, rows, columns) for the parts of an m x n product, of at most height x width.
template <class Part>
void for_all_parts(std::int64_t m, std::int64_t n, std::int64_t height, std::int64_t width,
                   Part part) {
  for (std::int64_t j = 0; j < n; j += width) {
    for (std::int64_t i = 0; i < m; i += height) {
      part(i, j, std::min(height, m - i), std::min(width, n - j));
    }
  }
}

class NativeProducts : public IsaTest {
 protected:
  void SetUp() override {
    IsaTest::SetUp();
    if (table_ != nullptr) gemm_ = make_gemm(GemmBackend::kNative, *table_);
  }

  template <class Case>
  void expect_right(Case test) {
    const Matrix before = test.c;
    gemm_->run(test.args());
    test.expect_right(before);
  }

  /// Checks the promise that lets the planner cut products as it likes, down to single rows, which
  /// take another path than blocks of rows.
  template <class Case>
  void expect_same_bits_for_every_cut(std::int64_t depth) {
    for (const GemmForm form : kGemmForms) {
      for (const bool accumulate : {false, true}) {
        Case whole(form, 107, 203, depth, accumulate);
        gemm_->run(whole.args());
        for (const auto& [height, width] : std::vector<std::pair<std::int64_t, std::int64_t>>{
                 {1, 203}, {107, 1}, {4, 64}, {13, 17}, {64, 48}, {106, 100}, {97, 203}}) {
          Case cut(form, 107, 203, depth, accumulate);
          for_all_parts(107, 203, height, width,
                        [&](auto... part) { gemm_->run(cut.args(part...)); });
          EXPECT_TRUE(same_bits(whole.c, cut.c))
              << whole.name() << " by " << height << " x " << width;
        }
      }
    }
  }

  template <class Case>
  void expect_same_bits_wherever_operands_lie(std::int64_t depth) {
    for (const GemmForm form : kGemmForms) {
      Case plain(form, 50, 90, depth, true);
      gemm_->run(plain.args());
      for (const std::int64_t gap : {1, 6, 1024 - 90}) {
        for (const std::int64_t before : {0, 1, 7, 15}) {
          Case moved(form, 50, 90, depth, true, gap, before);
          gemm_->run(moved.args());
          EXPECT_TRUE(same_bits(plain.c, moved.c)) << moved.name() << " from " << before;
        }
      }
    }
  }

  template <class Case>
  void expect_same_bits_from_threads(std::int64_t depth) {
    constexpr int kThreads = 4;
    for (const GemmForm form : kGemmForms) {
      Case alone(form, 96, 130, depth, false);
      gemm_->run(alone.args());
      Case shared(form, 96, 130, depth, false);
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

  std::unique_ptr<Gemm> gemm_;
};

}  // namespace cllm::testing
