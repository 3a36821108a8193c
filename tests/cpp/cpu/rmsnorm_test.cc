// RMS norm of every ISA is compared with a reference in double and with finite differences.
#include "family_reference.h"
#include "gapped_matrix.h"

namespace cllm {
namespace {

constexpr std::int64_t kRows = 3;  // a pair and a rest
constexpr float kEps = 1e-5f;

/// Longest chain of adds in a row sum, for the error bounds; the scalar chain is the longest.
double chain(std::int64_t width) { return static_cast<double>(width) / 4.0 + 6.0; }

/// Arrays of one case, filled, with the forward pass done.
struct Case {
  Case(const KernelTable& t, std::int64_t rows_, std::int64_t n_, int p)
      : table(t),
        rows(rows_),
        n(n_),
        x(rows, n, p, 1),
        dout(rows, n, shifted(p, 1), 2),
        residual(rows, n, shifted(p, 2), 3),
        out(rows, n, shifted(p, 3), 4),
        dx(rows, n, shifted(p, 4), 5),
        copy(rows, n, shifted(p, 5), 6),
        normed(rows, n, shifted(p, 6), 7),
        weight(n, shifted(p, 7)),
        dweight(n, shifted(p, 8), 9.0f),
        rstd(rows, shifted(p, 9)) {
    fill(weight, 8);
    table.rmsnorm_forward(rows, n, kEps, x.view(), weight.data(), out.view(), rstd.data());
  }
  void backward(MatrixView<const float> added, MatrixView<float> to, MatrixView<float> again = {},
                bool accumulate = false) {
    table.rmsnorm_backward(rows, n, x.view(), dout.view(), weight.data(), rstd.data(), added, to,
                           copy.view(), again, dweight.data(), accumulate);
  }
  RmsNormRow reference(std::int64_t r) const {
    return {x.data.doubles().data() + r * x.ld, n, double{kEps}};
  }

  const KernelTable& table;
  std::int64_t rows, n;
  GappedMatrix x, dout, residual, out, dx, copy, normed;
  GuardedFloats weight, dweight, rstd;
};

TEST(RmsNormForward, MatchesDouble) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    Case c(table, kRows, n, p);
    for (std::int64_t r = 0; r < kRows; ++r) {
      const RmsNormRow row = c.reference(r);
      const double error = kEpsilon * (chain(n) / 2 + 1);
      ASSERT_NEAR(c.rstd[r], row.rstd, row.rstd * error);
      for (std::int64_t i = 0; i < n; ++i) {
        const double want = row.normed[static_cast<std::size_t>(i)] * c.weight[i];
        ASSERT_NEAR(c.out.at(r, i), want, std::fabs(want) * (error + 2 * kEpsilon))
            << "row " << r << ", column " << i;
      }
    }
    ASSERT_TRUE(c.out.intact() && c.rstd.intact() && c.x.intact());
  });
}

TEST(RmsNormForward, MeansTheEpsilonThatIsGiven) {
  for (const KernelTable* table : runnable_kernels()) {
    for (const float epsilon : {1e-6f, 1e-5f, 0.25f}) {
      std::vector<float> x(12, 1e-3f), weight(12, 2.0f), out(12);
      float rstd = 0.0f;
      table->rmsnorm_forward(1, 12, epsilon, {x.data(), 12}, weight.data(), {out.data(), 12},
                             &rstd);
      EXPECT_NEAR(rstd, 1 / std::sqrt(1e-6 + double{epsilon}), 1e-6 * rstd) << table->name;
      EXPECT_NEAR(out[11], 2e-3 * rstd, 1e-6 * out[11]) << table->name;
    }
  }
}

TEST(RmsNormForward, ARowHasTheSameBitsAloneAndInPlace) {
  for (const KernelTable* table : runnable_kernels()) {
    for (const std::int64_t n : {1, 12, 15, 60, 129, 768}) {
      SCOPED_TRACE(describe(*table, n, 0));
      Case c(*table, kRows, n, 0);
      const std::vector<double> whole = c.out.doubles(), factors = c.rstd.doubles();
      for (std::int64_t r = 0; r < kRows; ++r) {
        table->rmsnorm_forward(1, n, kEps, c.x.view().at(r, 0), c.weight.data(),
                               c.out.view().at(r, 0), c.rstd.data() + r);
      }
      EXPECT_EQ(c.out.doubles(), whole);
      EXPECT_EQ(c.rstd.doubles(), factors);
      table->rmsnorm_forward(kRows, n, kEps, c.x.view(), c.weight.data(), c.x.view(),
                             c.rstd.data());
      EXPECT_EQ(c.x.doubles(), whole);
    }
  }
}

// Heads lie side by side in a row: five of width 12, then others that no call is for.
TEST(RmsNorm, TakesHeadsWhereTheyLie) {
  constexpr std::int64_t kHeads = 5, kWidth = 12;
  for (const KernelTable* table : runnable_kernels()) {
    GappedMatrix x(kRows, (kHeads + 2) * kWidth, 1, 1), out(kRows, (kHeads + 2) * kWidth, 2, 2);
    GappedMatrix dout(kRows, kHeads * kWidth, 3, 3), dx(kRows, kHeads * kWidth, 3, 4);
    GuardedFloats weight(kWidth, 3), by_row(kRows * kHeads, 0), by_head(kRows * kHeads, 0),
        sums(kWidth, 2, 9.0f);
    fill(weight, 5);
    const std::vector<double> before = out.doubles();
    for (std::int64_t r = 0; r < kRows; ++r) {  // the heads of a row are the rows of a call
      table->rmsnorm_forward(kHeads, kWidth, kEps, {x.view().row(r), kWidth}, weight.data(),
                             {out.view().row(r), kWidth}, by_row.data() + r * kHeads);
    }
    const std::vector<double> seen = out.doubles();
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (i % ((kHeads + 2) * kWidth) < kHeads * kWidth) continue;
      EXPECT_EQ(seen[i], before[i]) << table->name << ", which is of no head";
    }
    for (std::int64_t h = 0; h < kHeads; ++h) {  // the rows of a head are
      const std::int64_t at = h * kWidth;
      table->rmsnorm_forward(kRows, kWidth, kEps, x.view().at(0, at), weight.data(),
                             out.view().at(0, at), by_head.data() + h * kRows);
      table->rmsnorm_backward(kRows, kWidth, x.view().at(0, at), dout.view().at(0, at),
                              weight.data(), by_head.data() + h * kRows, {}, dx.view().at(0, at),
                              {}, {}, sums.data(), h > 0);
      for (std::int64_t r = 0; r < kRows; ++r) {
        EXPECT_EQ(by_head[h * kRows + r], by_row[r * kHeads + h]) << table->name;
      }
    }
    EXPECT_EQ(out.doubles(), seen) << table->name;
    EXPECT_TRUE(out.intact() && dx.intact() && by_row.intact() && by_head.intact());
    // The weight serves all heads, so its gradient is a sum over them, too.
    for (std::int64_t i = 0; i < kWidth; ++i) {
      double want = 0.0;
      for (std::int64_t r = 0; r < kRows; ++r) {
        for (std::int64_t h = 0; h < kHeads; ++h) {
          want +=
              double{dout.at(r, h * kWidth + i)} * x.at(r, h * kWidth + i) * by_row[r * kHeads + h];
        }
      }
      EXPECT_NEAR(sums[i], want, 1e-5) << table->name;
    }
  }
}

TEST(RmsNormForward, ExtremesAndNanStayInTheirRow) {
  for (const KernelTable* table : runnable_kernels()) {
    GappedMatrix x(4, 37, 0, 1), out(4, 37, 0, 2);
    GuardedFloats weight(37, 0, 1.0f), rstd(4, 0);
    x.at(0, 5) = std::numeric_limits<float>::quiet_NaN();
    for (std::int64_t i = 0; i < 37; ++i) x.at(2, i) = 0.0f;
    x.at(3, 7) = 1e30f;  // its square overflows
    table->rmsnorm_forward(4, 37, kEps, x.view(), weight.data(), out.view(), rstd.data());
    EXPECT_NEAR(rstd[2], 1 / std::sqrt(1e-5), 1e-3) << table->name;
    for (std::int64_t i = 0; i < 37; ++i) {
      EXPECT_TRUE(std::isnan(out.at(0, i))) << table->name;
      EXPECT_TRUE(std::isfinite(out.at(1, i))) << table->name;
      EXPECT_EQ(out.at(2, i), 0.0f) << table->name;
      EXPECT_EQ(out.at(3, i), 0.0f) << table->name;
    }
  }
}

TEST(RmsNormBackward, MatchesDouble) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    Case c(table, kRows, n, p);
    c.backward(c.residual.view(), c.dx.view(), c.normed.view());
    std::vector<double> dweight(static_cast<std::size_t>(n)), magnitude = dweight;
    const double error = kEpsilon * (2 * chain(n) + 8);
    for (std::int64_t r = 0; r < kRows; ++r) {
      const RmsNormRow row = c.reference(r);
      std::vector<double> d;
      double size_dn = 0.0;
      for (std::int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(i);
        d.push_back(double{c.dout.at(r, i)} * c.weight[i]);
        size_dn += std::fabs(d[at] * row.normed[at]) / static_cast<double>(n);
        dweight[at] += c.dout.at(r, i) * row.normed[at];
        magnitude[at] += std::fabs(c.dout.at(r, i) * row.normed[at]);
      }
      const std::vector<double> dx = row.backward(d);
      for (std::int64_t i = 0; i < n; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const double scale = std::fabs(d[at]) + std::fabs(row.normed[at]) * size_dn;
        const double want = c.residual.at(r, i) + dx[at];
        ASSERT_NEAR(c.dx.at(r, i), want,
                    row.rstd * scale * error + kEpsilon * (1 + std::fabs(want)))
            << "row " << r << ", column " << i;
      }
    }
    for (std::int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      ASSERT_NEAR(c.dweight[i], dweight[at], magnitude[at] * error + 1e-30) << i;
    }
    ASSERT_EQ(c.normed.doubles(), c.out.doubles()) << "the output made again";
    ASSERT_EQ(c.copy.doubles(), c.dx.doubles());
    ASSERT_TRUE(c.dx.intact() && c.copy.intact() && c.normed.intact() && c.dweight.intact());
  });
}

TEST(RmsNormBackward, MayOverwriteItsInputs) {
  for (const KernelTable* table : runnable_kernels()) {
    for (const std::int64_t n : {7, 16, 60, 130}) {
      SCOPED_TRACE(describe(*table, n, 3));
      Case separate(*table, kRows, n, 3), over_residual(*table, kRows, n, 3),
          over_dout(*table, kRows, n, 3), plain(*table, kRows, n, 3);
      separate.backward(separate.residual.view(), separate.dx.view());
      over_residual.backward(over_residual.residual.view(), over_residual.residual.view());
      EXPECT_EQ(over_residual.residual.doubles(), separate.dx.doubles());
      over_dout.backward(over_dout.residual.view(), over_dout.dout.view());
      EXPECT_EQ(over_dout.dout.doubles(), separate.dx.doubles());
      EXPECT_EQ(over_dout.dweight.doubles(), separate.dweight.doubles());
      plain.backward({}, plain.dx.view());
      for (std::int64_t r = 0; r < kRows; ++r) {
        for (std::int64_t i = 0; i < n; ++i) {
          EXPECT_EQ(plain.residual.at(r, i) + plain.dx.at(r, i), separate.dx.at(r, i));
        }
      }
    }
  }
}

TEST(RmsNormBackward, CutsBetweenRowsChangeNoBit) {
  for (const KernelTable* table : runnable_kernels()) {
    Case whole(*table, kRows, 60, 2), parts(*table, kRows, 60, 2);
    whole.backward({}, whole.dx.view());
    for (std::int64_t r = 0; r < kRows; ++r) {
      table->rmsnorm_backward(1, 60, parts.x.view().at(r, 0), parts.dout.view().at(r, 0),
                              parts.weight.data(), parts.rstd.data() + r, {},
                              parts.dx.view().at(r, 0), {}, {}, parts.dweight.data(), r > 0);
    }
    EXPECT_EQ(parts.dx.doubles(), whole.dx.doubles()) << table->name;
    EXPECT_EQ(parts.dweight.doubles(), whole.dweight.doubles()) << table->name;
  }
}

TEST(RmsNormBackward, MatchesFiniteDifferences) {
  for (const KernelTable* table : runnable_kernels()) {
    for (const std::int64_t n : {1, 2, 3, 8, 12, 17, 33, 60}) {
      SCOPED_TRACE(describe(*table, n, 0));
      Case c(*table, kRows, n, 0);
      c.backward({}, c.dx.view());
      std::vector<double> x = c.x.doubles(), weight = c.weight.doubles();
      const std::vector<double> dout = c.dout.doubles();
      const auto loss = [&] {
        double sum = 0.0;
        for (std::int64_t at = 0; at < kRows * n; at += n) {
          const RmsNormRow row(&x[static_cast<std::size_t>(at)], n, double{kEps});
          for (std::size_t i = 0; i < row.normed.size(); ++i) {
            sum += dout[static_cast<std::size_t>(at) + i] * row.normed[i] * weight[i];
          }
        }
        return sum;
      };
      const auto check = [&](std::vector<double>& values, const std::vector<double>& gradient) {
        double size = 1.0;
        for (const double g : gradient) size = std::max(size, std::fabs(g));
        for (std::size_t i = 0; i < values.size(); ++i) {
          const double kept = values[i], h = 1e-6;
          values[i] = kept + h;
          const double above = loss();
          values[i] = kept - h;
          const double below = loss();
          values[i] = kept;
          EXPECT_NEAR(gradient[i], (above - below) / (2 * h), 2e-6 * size * chain(n)) << i;
        }
      };
      check(x, c.dx.doubles());
      check(weight, c.dweight.doubles());
    }
  }
}

TEST(RmsNormBackward, NoRowsGiveZeroGradients) {
  for (const KernelTable* table : runnable_kernels()) {
    GuardedFloats dweight(19, 1, 9.0f);
    table->rmsnorm_backward(0, 19, {}, {}, nullptr, nullptr, {}, {}, {}, {}, dweight.data(), false);
    EXPECT_EQ(dweight.doubles(), std::vector<double>(19, 0.0)) << table->name;
  }
}

TEST(RmsNorm, Bf16StoresTheRoundedOutput) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    Case c(table, kRows, n, p);
    c.backward(c.residual.view(), c.dx.view(), c.normed.view());
    GuardedArray<Bf16> out(kRows * n, p), copy(kRows * n, shifted(p, 1)),
        normed(kRows * n, shifted(p, 2));
    GuardedFloats rstd(kRows, 0), dx(kRows * n, 0), dweight(n, 1);
    table.bf16.rmsnorm_forward(kRows, n, kEps, c.x.view(), c.weight.data(), {out.data(), n},
                               rstd.data());
    table.bf16.rmsnorm_backward(kRows, n, c.x.view(), c.dout.view(), c.weight.data(), rstd.data(),
                                c.residual.view(), {dx.data(), n}, {copy.data(), n},
                                {normed.data(), n}, dweight.data(), false);
    ASSERT_EQ(rstd.doubles(), c.rstd.doubles());
    ASSERT_EQ(dx.doubles(), c.dx.doubles());
    ASSERT_EQ(dweight.doubles(), c.dweight.doubles());
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t i = 0; i < n; ++i) {
        ASSERT_EQ(out[r * n + i].bits, to_bf16(c.out.at(r, i)).bits) << r << ' ' << i;
        ASSERT_EQ(normed[r * n + i].bits, to_bf16(c.out.at(r, i)).bits) << r << ' ' << i;
        ASSERT_EQ(copy[r * n + i].bits, to_bf16(c.dx.at(r, i)).bits) << r << ' ' << i;
      }
    }
    ASSERT_TRUE(out.intact() && copy.intact() && normed.intact());
  });
}

}  // namespace
}  // namespace cllm
