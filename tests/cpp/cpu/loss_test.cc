// The softmax kernels of every ISA are compared with double-precision references and finite
// differences.
#include "kernel_testing.h"

namespace cllm {
namespace {

constexpr std::int64_t kRows = 3;
constexpr std::int64_t kFirstColumn = 100;

double log_sum_exp(const double* x, std::int64_t n) {
  double top = x[0], sum = 0.0;
  for (std::int64_t i = 0; i < n; ++i) top = std::max(top, x[i]);
  for (std::int64_t i = 0; i < n; ++i) sum += std::exp(x[i] - top);
  return top + std::log(sum);
}

TEST(SoftmaxStats, MatchDouble) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats x(kRows * n, p), top(kRows, 0), sum(kRows, 1);
    fill(x, 1, 8.0f, -100.0f);  // far below 0: a stray lane of zeros would be the largest
    table.softmax_stats(kRows, n, {x.data(), n}, top.data(), sum.data());
    for (std::int64_t r = 0; r < kRows; ++r) {
      float largest = x[r * n];
      for (std::int64_t i = 0; i < n; ++i) largest = std::max(largest, x[r * n + i]);
      ASSERT_EQ(top[r], largest);
      double want = 0.0;
      for (std::int64_t i = 0; i < n; ++i) {
        want += std::exp(static_cast<double>(x[r * n + i]) - largest);
      }
      const double steps = 4.0 + std::min<double>(static_cast<double>(n), 1024.0) / 4.0;
      ASSERT_NEAR(sum[r], want, want * (kEpsilon * steps + 8 * kEpsilon));
    }
    ASSERT_TRUE(top.intact() && sum.intact());
  });
}

TEST(SoftmaxStats, WholeVocabularyKeepsItsDigits) {
  for (const KernelTable* table : runnable_kernels()) {
    GuardedFloats x(50257, 1, 0.25f), top(1, 0), sum(1, 0);
    table->softmax_stats(1, 50257, {x.data(), 50257}, top.data(), sum.data());
    EXPECT_EQ(top[0], 0.25f);
    EXPECT_EQ(sum[0], 50257.0f) << table->name;
  }
}

TEST(SoftmaxStats, NanAndInfinityReachTheSum) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const KernelTable* table : runnable_kernels()) {
    for (std::int64_t n : {1, 2, 15, 16, 17, 33, 70, 200}) {
      for (std::int64_t bad = 0; bad < n; ++bad) {
        GuardedFloats x(n, 3), top(1, 0), sum(1, 0);
        fill(x, 1);
        x[bad] = kNan;
        table->softmax_stats(1, n, {x.data(), n}, top.data(), sum.data());
        ASSERT_TRUE(std::isnan(sum[0])) << describe(*table, n, 3) << ", NaN at " << bad;
        x[bad] = kInfinity;
        table->softmax_stats(1, n, {x.data(), n}, top.data(), sum.data());
        ASSERT_TRUE(std::isnan(sum[0])) << describe(*table, n, 3) << ", inf at " << bad;
        if (n == 1) continue;
        x[bad] = -kInfinity;
        table->softmax_stats(1, n, {x.data(), n}, top.data(), sum.data());
        ASSERT_TRUE(std::isfinite(sum[0])) << describe(*table, n, 3) << ", -inf at " << bad;
      }
    }
  }
}

/// Targets of the rows: the first column, the last, and one in another block.
std::vector<std::int32_t> targets_for(std::int64_t n) {
  const auto first = static_cast<std::int32_t>(kFirstColumn);
  return {first, static_cast<std::int32_t>(kFirstColumn + n - 1), first - 1};
}

TEST(SoftmaxGradient, MatchesDouble) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    const std::int64_t ld = n + 2;
    const float scale = 1.0f / 96.0f;
    GuardedFloats x((kRows - 1) * ld + n, p), lse(kRows, 0);
    fill(x, 1, 5.0f);
    const std::vector<double> logits = x.doubles();
    const std::vector<std::int32_t> targets = targets_for(n);
    for (std::int64_t r = 0; r < kRows; ++r) {
      lse[r] = static_cast<float>(log_sum_exp(&logits[static_cast<std::size_t>(r * ld)], n));
    }
    table.softmax_gradient(kRows, n, {x.data(), ld}, lse.data(), targets.data(), kFirstColumn,
                           scale, {x.data(), ld});
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t i = 0; i < ld && r * ld + i < x.size(); ++i) {
        const double logit = logits[static_cast<std::size_t>(r * ld + i)];
        if (i >= n) {
          ASSERT_EQ(x[r * ld + i], logit) << "between the rows";
          continue;
        }
        const double softmax = std::exp(logit - lse[r]);
        const bool hit = kFirstColumn + i == targets[static_cast<std::size_t>(r)];
        const double rounding = 4.0 + std::fabs(logit - lse[r]);  // of the exponent's argument
        ASSERT_NEAR(x[r * ld + i], (softmax - (hit ? 1.0 : 0.0)) * scale,
                    kEpsilon * scale * (softmax * rounding + (hit ? 1.0 : 0.0)))
            << "row " << r << ", column " << i;
      }
    }
    ASSERT_TRUE(x.intact());
  });
}

TEST(SoftmaxGradient, MatchesFiniteDifferences) {
  for (const KernelTable* table : runnable_kernels()) {
    for (std::int64_t n : {1, 2, 7, 16, 33, 101}) {
      SCOPED_TRACE(describe(*table, n, 5));
      GuardedFloats x(n, 5), top(1, 0), sum(1, 0);
      fill(x, 1, 3.0f);
      std::vector<double> logits = x.doubles();
      const std::int64_t target = n / 2;
      // The whole way that the loss takes: statistics, log-sum-exp, gradient.
      table->softmax_stats(1, n, {x.data(), n}, top.data(), sum.data());
      const float lse = top[0] + std::log(sum[0]);
      const auto id = static_cast<std::int32_t>(target);
      table->softmax_gradient(1, n, {x.data(), n}, &lse, &id, 0, 1.0f, {x.data(), n});
      const auto loss = [&] {
        return log_sum_exp(logits.data(), n) - logits[static_cast<std::size_t>(target)];
      };
      for (std::int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const double kept = logits[at], h = 1e-6;
        logits[at] = kept + h;
        const double above = loss();
        logits[at] = kept - h;
        const double below = loss();
        logits[at] = kept;
        EXPECT_NEAR(x[i], (above - below) / (2 * h), 2e-6) << i;
      }
    }
  }
}

TEST(SoftmaxGradient, NanLogitStaysVisible) {
  for (const KernelTable* table : runnable_kernels()) {
    GuardedFloats x(37, 0);
    fill(x, 1);
    x[36] = std::numeric_limits<float>::quiet_NaN();
    const float lse = 4.0f;
    const std::int32_t target = 36;
    table->softmax_gradient(1, 37, {x.data(), 37}, &lse, &target, 0, 1.0f, {x.data(), 37});
    EXPECT_TRUE(std::isnan(x[36])) << table->name;
    EXPECT_FALSE(std::isnan(x[35])) << table->name;
  }
}

}  // namespace
}  // namespace cllm
