// LayerNorm of every ISA is compared with double-precision references and finite differences.
#include "kernel_testing.h"

namespace cllm {
namespace {

constexpr std::int64_t kRows = 3;

/// One row in double: mean, 1 / sqrt(variance + epsilon), and the normalised row.
struct Norm {
  Norm(const double* x, std::int64_t width, double epsilon = 1e-5) {
    for (std::int64_t i = 0; i < width; ++i) mean += x[i] / static_cast<double>(width);
    double variance = 0.0;
    for (std::int64_t i = 0; i < width; ++i) {
      variance += (x[i] - mean) * (x[i] - mean) / static_cast<double>(width);
      largest = std::max(largest, std::fabs(x[i]));
    }
    rstd = 1.0 / std::sqrt(variance + epsilon);
    for (std::int64_t i = 0; i < width; ++i) normed.push_back((x[i] - mean) * rstd);
  }
  double mean = 0.0, rstd = 0.0, largest = 0.0;
  std::vector<double> normed;
};

/// Longest chain of adds in a row sum, for the error bounds; the scalar chain is the longest.
double chain(std::int64_t width) { return static_cast<double>(width) / 4.0 + 6.0; }

TEST(LayerNormForward, MatchesDouble) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats x(kRows * n, p), gamma(n, shifted(p, 1)), beta(n, shifted(p, 2)),
        out(kRows * n, shifted(p, 3)), mean(kRows, 0), rstd(kRows, 1);
    fill(x, 1, 2.0f, 0.5f);
    fill(gamma, 2);
    fill(beta, 3);
    table.layernorm_forward(kRows, n, 0.01f, x.data(), gamma.data(), beta.data(), out.data(),
                            mean.data(), rstd.data());
    const std::vector<double> input = x.doubles();
    for (std::int64_t r = 0; r < kRows; ++r) {
      const Norm norm(&input[static_cast<std::size_t>(r * n)], n, 0.01);
      const double error = kEpsilon * chain(n);
      ASSERT_NEAR(mean[r], norm.mean, error * norm.largest);
      // A relative error of the variance, and the squared error of the mean beside a small one.
      const double rstd_error =
          error * (1.0 + error * norm.largest * norm.largest * norm.rstd * norm.rstd / kEpsilon);
      ASSERT_NEAR(rstd[r], norm.rstd, rstd_error * norm.rstd);
      for (std::int64_t i = 0; i < n; ++i) {
        const double xhat = norm.normed[static_cast<std::size_t>(i)];
        const double want = xhat * gamma[i] + beta[i];
        const double bound = error * norm.largest * norm.rstd * std::fabs(gamma[i]) +
                             rstd_error * std::fabs(xhat * gamma[i]) +
                             2 * kEpsilon * (std::fabs(want) + std::fabs(beta[i]));
        ASSERT_NEAR(out[r * n + i], want, bound) << "row " << r << ", column " << i;
      }
    }
    ASSERT_TRUE(out.intact() && mean.intact() && rstd.intact());
  });
}

TEST(LayerNormForward, LargeMeanKeepsItsDigits) {
  // E[x^2] - mean^2 would be all noise here.
  for (const KernelTable* table : runnable_kernels()) {
    GuardedFloats x(768, 0), gamma(768, 0, 1.0f), beta(768, 0), out(768, 0), mean(1, 0), rstd(1, 0);
    for (std::int64_t i = 0; i < 768; ++i) x[i] = 4096.0f + static_cast<float>(i % 3);
    table->layernorm_forward(1, 768, 1e-5f, x.data(), gamma.data(), beta.data(), out.data(),
                             mean.data(), rstd.data());
    EXPECT_NEAR(rstd[0], 1.0 / std::sqrt(2.0 / 3.0 + 1e-5), 1e-5) << table->name;
  }
}

TEST(LayerNormForward, ARowHasTheSameBitsAlone) {
  for (const KernelTable* table : runnable_kernels()) {
    for (std::int64_t n : {1, 15, 60, 129, 768}) {
      SCOPED_TRACE(describe(*table, n, 0));
      GuardedFloats x(kRows * n, 0), gamma(n, 0), beta(n, 0), out(kRows * n, 0), mean(kRows, 0),
          rstd(kRows, 0), alone(kRows * n, 0), mean1(kRows, 0), rstd1(kRows, 0);
      fill(x, 1, 2.0f, 0.5f);
      fill(gamma, 2);
      fill(beta, 3);
      table->layernorm_forward(kRows, n, 1e-5f, x.data(), gamma.data(), beta.data(), out.data(),
                               mean.data(), rstd.data());
      for (std::int64_t r = 0; r < kRows; ++r) {
        table->layernorm_forward(1, n, 1e-5f, x.data() + r * n, gamma.data(), beta.data(),
                                 alone.data() + r * n, mean1.data() + r, rstd1.data() + r);
      }
      EXPECT_EQ(alone.doubles(), out.doubles());
      EXPECT_EQ(mean1.doubles(), mean.doubles());
      EXPECT_EQ(rstd1.doubles(), rstd.doubles());
    }
  }
}

TEST(LayerNormForward, NanStaysInItsRow) {
  for (const KernelTable* table : runnable_kernels()) {
    GuardedFloats x(2 * 37, 0), gamma(37, 0, 1.0f), beta(37, 0), out(2 * 37, 0), mean(2, 0),
        rstd(2, 0);
    fill(x, 1);
    x[5] = std::numeric_limits<float>::quiet_NaN();
    table->layernorm_forward(2, 37, 1e-5f, x.data(), gamma.data(), beta.data(), out.data(),
                             mean.data(), rstd.data());
    for (std::int64_t i = 0; i < 37; ++i) {
      EXPECT_TRUE(std::isnan(out[i]));
      EXPECT_FALSE(std::isnan(out[37 + i]));
    }
  }
}

/// Arrays of one backward case, filled, with the forward pass done.
struct Backward {
  Backward(const KernelTable& t, std::int64_t rows_, std::int64_t n_, int p)
      : table(t),
        rows(rows_),
        n(n_),
        x(rows * n, p),
        dout(rows * n, shifted(p, 1)),
        gamma(n, shifted(p, 2)),
        beta(n, shifted(p, 3)),
        residual(rows * n, shifted(p, 4)),
        dx(rows * n, shifted(p, 5)),
        normed(rows * n, shifted(p, 6)),
        dgamma(n, shifted(p, 7), 9.0f),
        dbeta(n, shifted(p, 8), 9.0f),
        out(rows * n, 0),
        mean(rows, 0),
        rstd(rows, 0) {
    fill(x, 1);
    fill(dout, 2);
    fill(gamma, 3);
    fill(beta, 4);
    fill(residual, 5);
    table.layernorm_forward(rows, n, 1e-5f, x.data(), gamma.data(), beta.data(), out.data(),
                            mean.data(), rstd.data());
  }
  void run(const float* added, float* to, float* normed_out) {
    table.layernorm_backward(rows, n, x.data(), dout.data(), gamma.data(), beta.data(), mean.data(),
                             rstd.data(), added, to, nullptr, normed_out, dgamma.data(),
                             dbeta.data());
  }
  const KernelTable& table;
  std::int64_t rows, n;
  GuardedFloats x, dout, gamma, beta, residual, dx, normed, dgamma, dbeta, out, mean, rstd;
};

TEST(LayerNormBackward, MatchesDouble) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    Backward c(table, kRows, n, p);
    c.run(c.residual.data(), c.dx.data(), c.normed.data());
    const std::vector<double> input = c.x.doubles();
    std::vector<double> dgamma(static_cast<std::size_t>(n)), dbeta = dgamma, magnitude = dgamma;
    for (std::int64_t r = 0; r < kRows; ++r) {
      const Norm norm(&input[static_cast<std::size_t>(r * n)], n);
      double mean_d = 0.0, mean_dn = 0.0, size_d = 0.0, size_dn = 0.0;
      // Error of a normalised value, from the stored mean and rstd.
      const double slip = kEpsilon * chain(n) * (4.0 + 2.0 * norm.largest * norm.rstd);
      for (std::int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const double upper = c.dout[r * n + i], d = upper * c.gamma[i], xhat = norm.normed[at];
        mean_d += d / static_cast<double>(n);
        mean_dn += d * xhat / static_cast<double>(n);
        size_d += std::fabs(d) / static_cast<double>(n);
        size_dn += std::fabs(d) * (std::fabs(xhat) + 1.0) / static_cast<double>(n);
        dgamma[at] += upper * xhat;
        dbeta[at] += upper;
        magnitude[at] += std::fabs(upper) * (slip + 4 * kEpsilon * (1.0 + std::fabs(xhat)));
      }
      for (std::int64_t i = 0; i < n; ++i) {
        const double xhat = norm.normed[static_cast<std::size_t>(i)];
        const double d = static_cast<double>(c.dout[r * n + i]) * c.gamma[i];
        const double want = c.residual[r * n + i] + norm.rstd * (d - mean_d - xhat * mean_dn);
        const double scale = std::fabs(d) + size_d + (std::fabs(xhat) + 1.0) * size_dn;
        const double bound =
            norm.rstd * scale * (2.0 * slip + 4.0 * kEpsilon * chain(n)) + 4 * kEpsilon;
        ASSERT_NEAR(c.dx[r * n + i], want, bound) << "row " << r << ", column " << i;
      }
    }
    for (std::int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      ASSERT_NEAR(c.dgamma[i], dgamma[at], magnitude[at]) << i;
      ASSERT_NEAR(c.dbeta[i], dbeta[at], magnitude[at]) << i;
    }
    ASSERT_EQ(c.normed.doubles(), c.out.doubles()) << "the output again must be the same bits";
    ASSERT_TRUE(c.dx.intact() && c.normed.intact() && c.dgamma.intact() && c.dbeta.intact());
  });
}

TEST(LayerNormBackward, AliasesAndAbsentArraysChangeNoBit) {
  for (const KernelTable* table : runnable_kernels()) {
    for (std::int64_t n : {1, 15, 60, 129}) {
      SCOPED_TRACE(describe(*table, n, 3));
      Backward separate(*table, kRows, n, 3), over_residual(*table, kRows, n, 3),
          over_dout(*table, kRows, n, 3), plain(*table, kRows, n, 3);
      separate.run(separate.residual.data(), separate.dx.data(), separate.normed.data());
      over_residual.run(over_residual.residual.data(), over_residual.residual.data(), nullptr);
      EXPECT_EQ(over_residual.residual.doubles(), separate.dx.doubles());
      EXPECT_EQ(over_residual.dgamma.doubles(), separate.dgamma.doubles());
      over_dout.run(over_dout.residual.data(), over_dout.dout.data(), nullptr);
      EXPECT_EQ(over_dout.dout.doubles(), separate.dx.doubles());
      plain.run(nullptr, plain.dx.data(), nullptr);
      for (std::int64_t i = 0; i < plain.dx.size(); ++i) {
        EXPECT_EQ(plain.residual[i] + plain.dx[i], separate.dx[i]);
      }
    }
  }
}

TEST(LayerNormBackward, MatchesFiniteDifferences) {
  for (const KernelTable* table : runnable_kernels()) {
    for (std::int64_t n : {2, 3, 8, 17, 33, 60}) {
      SCOPED_TRACE(describe(*table, n, 0));
      Backward c(*table, kRows, n, 0);
      c.run(nullptr, c.dx.data(), nullptr);
      std::vector<double> x = c.x.doubles(), gamma = c.gamma.doubles(), beta = c.beta.doubles();
      const auto loss = [&] {
        double sum = 0.0;
        for (std::int64_t r = 0; r < kRows; ++r) {
          const Norm norm(&x[static_cast<std::size_t>(r * n)], n);
          for (std::int64_t i = 0; i < n; ++i) {
            const auto at = static_cast<std::size_t>(i);
            sum += c.dout[r * n + i] * (norm.normed[at] * gamma[at] + beta[at]);
          }
        }
        return sum;
      };
      const auto check = [&](std::vector<double>& values, GuardedFloats& gradient) {
        double size = 1.0;
        for (double g : gradient.doubles()) size = std::max(size, std::fabs(g));
        for (std::size_t i = 0; i < values.size(); ++i) {
          const double kept = values[i], h = 1e-6;
          values[i] = kept + h;
          const double above = loss();
          values[i] = kept - h;
          const double below = loss();
          values[i] = kept;
          EXPECT_NEAR(gradient[static_cast<std::int64_t>(i)], (above - below) / (2 * h),
                      2e-6 * size * chain(n))
              << i;
        }
      };
      check(x, c.dx);
      check(gamma, c.dgamma);
      check(beta, c.dbeta);
    }
  }
}

TEST(LayerNormBackward, NoRowsGiveZeroGradients) {
  for (const KernelTable* table : runnable_kernels()) {
    Backward c(*table, 0, 19, 1);
    c.run(nullptr, c.dx.data(), nullptr);
    EXPECT_EQ(c.dgamma.doubles(), std::vector<double>(19, 0.0));
    EXPECT_EQ(c.dbeta.doubles(), std::vector<double>(19, 0.0));
  }
}

}  // namespace
}  // namespace cllm
