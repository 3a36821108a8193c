// SwiGLU of every ISA is compared with a reference in double and with finite differences.
#include "family_reference.h"
#include "gapped_matrix.h"

namespace cllm {
namespace {

constexpr std::int64_t kRows = 5;

/// Arrays of one case, filled, with the forward pass done.
struct Case {
  Case(const KernelTable& table, std::int64_t n_, int p)
      : n(n_),
        gate(kRows, n, p, 1, 6.0f),
        up(kRows, n, shifted(p, 1), 2),
        out(kRows, n, shifted(p, 2), 3),
        by_gate(kRows, n, shifted(p, 3), 4),
        by_up(kRows, n, shifted(p, 4), 5),
        dout(kRows, n, shifted(p, 5), 6),
        dgate(kRows, n, shifted(p, 6), 7),
        dup(kRows, n, shifted(p, 7), 8) {
    table.swiglu(kRows, n, gate.view(), up.view(), out.view(), by_gate.view(), by_up.view());
    table.swiglu_backward(kRows, n, by_gate.view(), by_up.view(), dout.view(), dgate.view(),
                          dup.view());
  }
  bool intact() {
    bool all = true;
    for (GappedMatrix* m : {&gate, &up, &out, &by_gate, &by_up, &dout, &dgate, &dup}) {
      all = all && m->intact();
    }
    return all;
  }
  std::int64_t n;
  GappedMatrix gate, up, out, by_gate, by_up, dout, dgate, dup;
};

TEST(SwiGlu, MatchesDouble) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    Case c(table, n, p);
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t i = 0; i < n; ++i) {
        const double g = c.gate.at(r, i), u = c.up.at(r, i), d = c.dout.at(r, i);
        // As for GELU: the error of the gate's exponential, and of its argument.
        const double error = kEpsilon * (std::fabs(g) * 4 + 1e-30);
        ASSERT_NEAR(c.out.at(r, i), silu(g) * u, error * std::fabs(u)) << "at " << g;
        ASSERT_NEAR(c.by_up.at(r, i), silu(g), error) << "at " << g;
        const double slope_error = kEpsilon * 4 * (2 + std::fabs(g)) * std::fabs(u);
        ASSERT_NEAR(c.by_gate.at(r, i), silu_slope(g) * u, slope_error) << "at " << g;
        ASSERT_EQ(c.dgate.at(r, i), c.dout.at(r, i) * c.by_gate.at(r, i));
        ASSERT_EQ(c.dup.at(r, i), c.dout.at(r, i) * c.by_up.at(r, i));
        ASSERT_NEAR(c.dgate.at(r, i), d * silu_slope(g) * u,
                    std::fabs(d) * 2 * slope_error + 1e-30);
        ASSERT_NEAR(c.dup.at(r, i), d * silu(g), std::fabs(d) * 2 * error + 1e-30);
      }
    }
    ASSERT_TRUE(c.intact());
  });
}

TEST(SwiGlu, GradientsMatchFiniteDifferences) {
  for (const KernelTable* table : runnable_kernels()) {
    Case c(*table, 200, 1);
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t i = 0; i < c.n; ++i) {
        const double g = c.gate.at(r, i), u = c.up.at(r, i), d = c.dout.at(r, i), h = 1e-6;
        const double by_gate = d * u * (silu(g + h) - silu(g - h)) / (2 * h);
        const double by_up = d * (silu(g) * (u + h) - silu(g) * (u - h)) / (2 * h);
        EXPECT_NEAR(c.dgate.at(r, i), by_gate, 1e-5) << table->name << " at " << g << ", " << u;
        EXPECT_NEAR(c.dup.at(r, i), by_up, 1e-5) << table->name << " at " << g << ", " << u;
      }
    }
  }
}

TEST(SwiGlu, MayOverwriteItsInputsAndLeaveTheSlopesOut) {
  for (const KernelTable* table : runnable_kernels()) {
    for (const std::int64_t n : {1, 7, 16, 60, 200}) {
      SCOPED_TRACE(describe(*table, n, 3));
      Case c(*table, n, 3), over(*table, n, 3), alone(*table, n, 3);
      table->swiglu(kRows, n, over.gate.view(), over.up.view(), over.out.view(), over.gate.view(),
                    over.up.view());
      EXPECT_EQ(over.out.doubles(), c.out.doubles());
      EXPECT_EQ(over.gate.doubles(), c.by_gate.doubles());
      EXPECT_EQ(over.up.doubles(), c.by_up.doubles());
      table->swiglu_backward(kRows, n, over.gate.view(), over.up.view(), over.dout.view(),
                             over.dout.view(), over.up.view());
      EXPECT_EQ(over.dout.doubles(), c.dgate.doubles());
      EXPECT_EQ(over.up.doubles(), c.dup.doubles());
      table->swiglu(kRows, n, alone.gate.view(), alone.up.view(), alone.up.view(), {}, {});
      EXPECT_EQ(alone.up.doubles(), c.out.doubles());
    }
  }
}

TEST(SwiGlu, FarEndsAndNan) {
  for (const KernelTable* table : runnable_kernels()) {
    const std::vector<float> gate = {0.0f,  90.0f, -90.0f, 1e4f,
                                     -1e4f, 1e30f, -1e30f, std::numeric_limits<float>::quiet_NaN()};
    const auto n = static_cast<std::int64_t>(gate.size());
    const std::vector<float> up(gate.size(), 2.0f);
    std::vector<float> out(gate.size()), by_gate(gate.size()), by_up(gate.size());
    table->swiglu(1, n, {gate.data(), n}, {up.data(), n}, {out.data(), n}, {by_gate.data(), n},
                  {by_up.data(), n});
    for (std::size_t i = 0; i + 1 < gate.size(); ++i) {
      const bool positive = gate[i] > 0.0f;
      EXPECT_NEAR(out[i], positive ? 2 * gate[i] : 0.0f, 1e-30) << table->name << ' ' << gate[i];
      EXPECT_NEAR(by_up[i], positive ? gate[i] : 0.0f, 1e-30) << table->name << ' ' << gate[i];
      EXPECT_NEAR(by_gate[i], gate[i] == 0.0f ? 1.0f : (positive ? 2.0f : 0.0f), 1e-30)
          << table->name << ' ' << gate[i];
    }
    EXPECT_TRUE(std::isnan(out.back()) && std::isnan(by_gate.back()) && std::isnan(by_up.back()));
  }
}

TEST(SwiGlu, Bf16IsNearTheRoundedOutput) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    Case c(table, n, p);
    GuardedArray<Bf16> out(kRows * n, p), by_gate(kRows * n, shifted(p, 1)),
        by_up(kRows * n, shifted(p, 2)), dgate(kRows * n, shifted(p, 3)),
        dup(kRows * n, shifted(p, 4));
    table.bf16.swiglu(kRows, n, c.gate.view(), c.up.view(), {out.data(), n}, {by_gate.data(), n},
                      {by_up.data(), n});
    table.bf16.swiglu_backward(kRows, n, {by_gate.data(), n}, {by_up.data(), n}, c.dout.view(),
                               {dgate.data(), n}, {dup.data(), n});
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t i = 0; i < n; ++i) {
        // Half a unit of bf16, and what its gate may be off.
        const std::int64_t at = r * n + i;
        const auto near = [&](Bf16 seen, float wanted, float scale) {
          ASSERT_NEAR(to_float(seen), wanted, std::fabs(wanted) * (0x1p-8 + 2e-5) + 1e-5 * scale);
        };
        near(out[at], c.out.at(r, i), 0.0f);
        near(by_up[at], c.by_up.at(r, i), 0.0f);
        near(by_gate[at], c.by_gate.at(r, i), std::fabs(c.up.at(r, i)));  // it passes through 0
        ASSERT_EQ(dgate[at].bits, to_bf16(c.dout.at(r, i) * to_float(by_gate[at])).bits);
        ASSERT_EQ(dup[at].bits, to_bf16(c.dout.at(r, i) * to_float(by_up[at])).bits);
      }
    }
    ASSERT_TRUE(out.intact() && by_gate.intact() && by_up.intact() && dgate.intact() &&
                dup.intact());
  });
}

}  // namespace
}  // namespace cllm
