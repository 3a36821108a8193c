// Bias, residual, GELU and column-sum kernels of every ISA are compared with double-precision
// references.
#include "gapped_matrix.h"

namespace cllm {
namespace {

constexpr std::int64_t kRows = 7;  // one group of four and a rest in column_sums

struct Matrix : GappedMatrix {
  Matrix(std::int64_t columns_, int placement, unsigned seed, float scale = 2.0f)
      : GappedMatrix(kRows, columns_, placement, seed, scale) {}
};

TEST(BiasKernels, AddAndResidualRoundInTheStatedOrder) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats bias(n, p);
    fill(bias, 1);
    Matrix x(n, shifted(p, 1), 2), before(n, 0, 2), residual(n, shifted(p, 2), 3, 100.0f);
    table.bias_residual(kRows, n, bias.data(), residual.view(), x.view());
    Matrix y(n, shifted(p, 3), 2);
    table.bias_add(kRows, n, bias.data(), y.view(), y.view());
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t i = 0; i < n; ++i) {
        const float biased = before.at(r, i) + bias[i];
        ASSERT_EQ(y.at(r, i), biased);
        ASSERT_EQ(x.at(r, i), biased + residual.at(r, i));
      }
    }
    ASSERT_TRUE(x.intact() && y.intact() && residual.intact());
  });
}

double gelu(double x) {
  return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
}

/// Error of the kernel's gelu: that of the gate's exponential, and of its argument z, which
/// |z| s (1 - s) turns into a relative one of the gate.
double gelu_error(double x) { return kEpsilon * std::fabs(x) * 4.0 + 1e-37; }

TEST(GeluKernels, ForwardAndBackwardMatchDouble) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats bias(n, p);
    fill(bias, 1);
    Matrix x(n, shifted(p, 1), 2, 6.0f), g(n, shifted(p, 2), 3), slope(n, shifted(p, 3), 4),
        alone(n, shifted(p, 4), 2, 6.0f);
    table.bias_gelu(kRows, n, bias.data(), x.view(), g.view(), slope.view());
    table.bias_gelu(kRows, n, bias.data(), alone.view(), alone.view(), {nullptr, 0});
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t i = 0; i < n; ++i) {
        const double h = x.at(r, i) + bias[i];
        ASSERT_NEAR(g.at(r, i), gelu(h), gelu_error(h)) << "at " << h;
        ASSERT_EQ(alone.at(r, i), g.at(r, i)) << "the derivative must not change the value";
        const double step = 1e-5;
        const double wanted = (gelu(h + step) - gelu(h - step)) / (2 * step);
        ASSERT_NEAR(slope.at(r, i), wanted, kEpsilon * 8 * (2 + h * h) + 1e-8) << "at " << h;
      }
    }
    ASSERT_TRUE(x.intact() && g.intact() && slope.intact() && alone.intact());
  });
}

TEST(GeluKernels, BackwardMultipliesAndSumsRowsInOrder) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    Matrix slope(n, p, 1), d(n, shifted(p, 1), 2, 1000.0f), upper(n, 0, 2, 1000.0f);
    GuardedFloats sums(n, shifted(p, 2), 9.0f);
    table.gelu_backward(kRows, n, slope.view(), d.view(), d.view(), sums.data());
    for (std::int64_t i = 0; i < n; ++i) {
      float sum = 0.0f;
      for (std::int64_t r = 0; r < kRows; ++r) {
        ASSERT_EQ(d.at(r, i), upper.at(r, i) * slope.at(r, i));
        sum += d.at(r, i);
      }
      ASSERT_EQ(sums[i], sum) << i;
    }
    ASSERT_TRUE(slope.intact() && d.intact() && sums.intact());
  });
}

TEST(GeluKernels, FarEndsAndNan) {
  for (const KernelTable* table : runnable_kernels()) {
    const std::vector<float> x = {0.0f,   -0.0f,  12.0f,
                                  -12.0f, 1e4f,   -1e4f,
                                  1e15f,  -1e15f, std::numeric_limits<float>::quiet_NaN()};
    const std::vector<float> bias(x.size(), 0.0f);
    std::vector<float> g(x.size()), d(x.size());
    const auto n = static_cast<std::int64_t>(x.size());
    table->bias_gelu(1, n, bias.data(), {x.data(), n}, {g.data(), n}, {d.data(), n});
    for (std::size_t i = 0; i + 1 < x.size(); ++i) {
      const bool positive = x[i] > 0.0f;
      EXPECT_EQ(g[i], positive ? x[i] : 0.0f) << table->name << " at " << x[i];
      EXPECT_EQ(d[i], x[i] == 0.0f ? 0.5f : (positive ? 1.0f : 0.0f)) << table->name << x[i];
    }
    EXPECT_TRUE(std::isnan(g.back()) && std::isnan(d.back())) << table->name;
  }
}

TEST(ColumnSums, AddRowsInOrder) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    Matrix x(n, p, 1, 1000.0f);
    GuardedFloats sums(n, shifted(p, 1), 5.0f), more(n, shifted(p, 2));
    fill(more, 2);
    const std::vector<double> start = more.doubles();
    table.column_sums(kRows, n, x.view(), sums.data(), false);
    table.column_sums(kRows, n, x.view(), more.data(), true);
    for (std::int64_t i = 0; i < n; ++i) {
      float fresh = 0.0f, added = static_cast<float>(start[static_cast<std::size_t>(i)]);
      for (std::int64_t r = 0; r < kRows; ++r) {
        fresh += x.at(r, i);
        added += x.at(r, i);
      }
      ASSERT_EQ(sums[i], fresh) << i;
      ASSERT_EQ(more[i], added) << i;
    }
    ASSERT_TRUE(sums.intact() && more.intact());
  });
}

TEST(ColumnSums, CutsBetweenRowsChangeNoBit) {
  for (const KernelTable* table : runnable_kernels()) {
    Matrix x(60, 2, 1, 1000.0f);
    GuardedFloats whole(60, 0), parts(60, 1);
    table->column_sums(kRows, 60, x.view(), whole.data(), false);
    table->column_sums(3, 60, x.view(), parts.data(), false);
    table->column_sums(kRows - 3, 60, x.view().at(3, 0), parts.data(), true);
    EXPECT_EQ(whole.doubles(), parts.doubles()) << table->name;
    table->column_sums(0, 60, x.view(), whole.data(), false);
    EXPECT_EQ(whole.doubles(), std::vector<double>(60, 0.0)) << table->name;
  }
}

}  // namespace
}  // namespace cllm
