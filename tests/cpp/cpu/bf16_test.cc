// Bf16 is tested in every ISA: rounding over all exponents, and kernels that store it, which give
// bit for bit the rounding of what the kernels that store floats give.
#include "base/bf16.h"

#include <functional>

#include "kernel_testing.h"

namespace cllm {
namespace {

using GuardedBf16 = GuardedArray<Bf16>;

float float_of(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

/// Every upper half with lower halves on, and to either side of, where rounding turns.
std::vector<float> all_halves() {
  std::vector<float> all;
  for (std::uint32_t upper = 0; upper < 0x10000; ++upper) {
    for (const std::uint32_t lower : {0u, 1u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu}) {
      all.push_back(float_of(upper << 16 | lower));
    }
  }
  return all;
}

TEST(Bf16, RoundsToTheNearestAndTiesToEven) {
  for (const float x : all_halves()) {
    const float seen = to_float(to_bf16(x));
    if (std::isnan(x)) {
      ASSERT_TRUE(std::isnan(seen));
      continue;
    }
    ASSERT_EQ(std::signbit(seen), std::signbit(x));
    const double size = std::fabs(double{x});
    if (size < double{std::numeric_limits<float>::min()}) {
      ASSERT_EQ(seen, 0.0f);
      continue;
    }
    if (std::isinf(x)) {
      ASSERT_EQ(seen, x);
      continue;
    }
    // The two neighbours, 2^-7 of the power of two below apart, in exact arithmetic.
    const double step = std::ldexp(1.0, std::ilogb(size) - 7);
    const double below = std::floor(size / step) * step, above = below + step;
    const bool even = std::fmod(below / step, 2.0) == 0.0;
    const bool up = size - below > above - size || (size - below == above - size && !even);
    const double wanted = up ? above : below;
    if (wanted >= std::ldexp(1.0, 128)) {
      ASSERT_TRUE(std::isinf(seen)) << x;
    } else {
      ASSERT_EQ(std::fabs(double{seen}), wanted) << x;
    }
  }
}

TEST(Bf16, EveryIsaRoundsToTheSameBits) {
  const std::vector<float> all = all_halves();
  std::vector<Bf16> wanted, seen(all.size());
  for (const float x : all) wanted.push_back(to_bf16(x));
  for (const KernelTable* table : runnable_kernels()) {
    table->round_bf16(all.size(), all.data(), seen.data());
    for (std::size_t i = 0; i < all.size(); ++i) {
      ASSERT_EQ(seen[i].bits, wanted[i].bits) << table->name << " at " << all[i];
    }
    std::vector<float> back(all.size());
    table->widen_bf16(all.size(), wanted.data(), back.data());
    for (std::size_t i = 0; i < all.size(); ++i) {
      const float value = to_float(wanted[i]);
      ASSERT_EQ(std::memcmp(&back[i], &value, sizeof value), 0) << table->name << " at " << all[i];
    }
  }
}

TEST(Bf16, RangesEndWhereTheyEnd) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats x(n, p), back(n, shifted(p, 1));
    GuardedBf16 half(n, shifted(p, 2));
    fill(x, 1);
    table.round_bf16(static_cast<std::size_t>(n), x.data(), half.data());
    table.widen_bf16(static_cast<std::size_t>(n), half.data(), back.data());
    for (std::int64_t i = 0; i < n; ++i) {
      ASSERT_EQ(half[i].bits, to_bf16(x[i]).bits) << i;
      ASSERT_EQ(back[i], to_float(half[i])) << i;
    }
    ASSERT_TRUE(x.intact() && half.intact() && back.intact());
  });
}

// -- kernels over activations ---------------------------------------------------------------------

constexpr std::int64_t kRows = 5;  // a group of four and a rest in column_sums

/// A matrix in both forms, the floats exactly what the Bf16 are.
struct Both {
  Both(std::int64_t columns, int placement, unsigned seed = 0, float scale = 2.0f)
      : floats(kRows * columns, 0), halves(kRows * columns, placement) {
    if (seed == 0) return;
    fill(floats, seed, scale);
    for (std::int64_t i = 0; i < floats.size(); ++i) {
      halves[i] = to_bf16(floats[i]);
      floats[i] = to_float(halves[i]);
    }
  }
  GuardedFloats floats;
  GuardedBf16 halves;
};

void expect_rounded(const char* what, Both& seen) {
  for (std::int64_t i = 0; i < seen.floats.size(); ++i) {
    ASSERT_EQ(seen.halves[i].bits, to_bf16(seen.floats[i]).bits) << what << ' ' << i;
  }
  ASSERT_TRUE(seen.halves.intact()) << what;
}

TEST(Bf16Kernels, LayerNormStoresTheRoundedOutput) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats x(kRows * n, p), gamma(n, shifted(p, 1)), beta(n, 0), mean(kRows, 0),
        rstd(kRows, 0), mean16(kRows, 1), rstd16(kRows, 1);
    fill(x, 1);
    fill(gamma, 2);
    fill(beta, 3);
    Both out(n, shifted(p, 2)), again(n, shifted(p, 3)), dx(n, shifted(p, 4));
    table.layernorm_forward(kRows, n, 1e-5f, x.data(), gamma.data(), beta.data(), out.floats.data(),
                            mean.data(), rstd.data());
    table.bf16.layernorm_forward(kRows, n, 1e-5f, x.data(), gamma.data(), beta.data(),
                                 out.halves.data(), mean16.data(), rstd16.data());
    expect_rounded("out", out);
    ASSERT_EQ(mean.doubles(), mean16.doubles());
    ASSERT_EQ(rstd.doubles(), rstd16.doubles());

    GuardedFloats dout(kRows * n, 0), residual(kRows * n, 1), dx16(kRows * n, p), dgamma(n, 0),
        dbeta(n, 0), dgamma16(n, p), dbeta16(n, p), copy(kRows * n, 1);
    fill(dout, 4);
    fill(residual, 5);
    table.layernorm_backward(kRows, n, x.data(), dout.data(), gamma.data(), beta.data(),
                             mean.data(), rstd.data(), residual.data(), dx.floats.data(),
                             copy.data(), again.floats.data(), dgamma.data(), dbeta.data());
    ASSERT_EQ(copy.doubles(), dx.floats.doubles());
    table.bf16.layernorm_backward(kRows, n, x.data(), dout.data(), gamma.data(), beta.data(),
                                  mean.data(), rstd.data(), residual.data(), dx16.data(),
                                  dx.halves.data(), again.halves.data(), dgamma16.data(),
                                  dbeta16.data());
    expect_rounded("normed again", again);
    expect_rounded("copy of dx", dx);
    ASSERT_EQ(dx16.doubles(), dx.floats.doubles());
    ASSERT_EQ(dgamma16.doubles(), dgamma.doubles());
    ASSERT_EQ(dbeta16.doubles(), dbeta.doubles());
    table.bf16.layernorm_backward(kRows, n, x.data(), dout.data(), gamma.data(), beta.data(),
                                  mean.data(), rstd.data(), nullptr, dx16.data(), nullptr, nullptr,
                                  dgamma16.data(), dbeta16.data());
    ASSERT_TRUE(dx16.intact() && dgamma16.intact() && dbeta16.intact());
  });
}

/// Within half a unit of bf16 and what its gate may be off of the float kernel's.
void expect_near_rounded(const char* what, Both& seen) {
  for (std::int64_t i = 0; i < seen.floats.size(); ++i) {
    const double wanted = seen.floats[i];
    ASSERT_NEAR(to_float(seen.halves[i]), wanted, std::fabs(wanted) * (0x1p-8 + 2e-5) + 1e-37)
        << what << ' ' << i;
  }
  ASSERT_TRUE(seen.halves.intact()) << what;
}

TEST(Bf16Kernels, BiasAndGeluStoreTheRoundedOutput) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats x(kRows * n, p), bias(n, shifted(p, 1));
    fill(x, 1, 6.0f);
    fill(bias, 2);
    Both sum(n, shifted(p, 2)), gelu(n, shifted(p, 3)), slope(n, shifted(p, 4));
    table.bias_add(kRows, n, bias.data(), {x.data(), n}, {sum.floats.data(), n});
    table.bf16.bias_add(kRows, n, bias.data(), {x.data(), n}, {sum.halves.data(), n});
    expect_rounded("x + bias", sum);

    table.bias_gelu(kRows, n, bias.data(), {x.data(), n}, {gelu.floats.data(), n},
                    {slope.floats.data(), n});
    table.bf16.bias_gelu(kRows, n, bias.data(), {x.data(), n}, {gelu.halves.data(), n},
                         {slope.halves.data(), n});
    expect_near_rounded("gelu", gelu);
    for (std::int64_t i = 0; i < kRows * n; ++i) {
      // The derivative passes through zero: its terms, of size 1, are what is off.
      const double wanted = slope.floats[i];
      ASSERT_NEAR(to_float(slope.halves[i]), wanted, std::fabs(wanted) * 0x1p-8 + 1e-5) << i;
      slope.floats[i] = to_float(slope.halves[i]);
    }

    GuardedFloats upper(kRows * n, p), sums(n, shifted(p, 5), 7.0f), same(n, 0, 7.0f);
    fill(upper, 3);
    Both dhidden(n, shifted(p, 6));
    table.gelu_backward(kRows, n, {slope.floats.data(), n}, {upper.data(), n},
                        {dhidden.floats.data(), n}, same.data());
    table.bf16.gelu_backward(kRows, n, {slope.halves.data(), n}, {upper.data(), n},
                             {dhidden.halves.data(), n}, sums.data());
    expect_rounded("dh", dhidden);
    for (std::int64_t i = 0; i < n; ++i) ASSERT_EQ(sums[i], same[i]) << "summed before rounded";
    ASSERT_TRUE(upper.intact() && slope.halves.intact() && sums.intact());
  });
}

TEST(Bf16Kernels, GeluOfFarEndsAndNan) {
  for (const KernelTable* table : runnable_kernels()) {
    const std::vector<float> x = {0.0f,  12.0f, -20.0f, 1e4f,
                                  -1e4f, 1e15f, -1e15f, std::numeric_limits<float>::quiet_NaN()};
    const auto n = static_cast<std::int64_t>(x.size());
    const std::vector<float> bias(x.size(), 0.0f);
    std::vector<Bf16> rounded(x.size()), g(x.size()), d(x.size());
    table->bf16.bias_add(1, n, bias.data(), {x.data(), n}, {rounded.data(), n});
    table->bf16.bias_gelu(1, n, bias.data(), {x.data(), n}, {g.data(), n}, {d.data(), n});
    for (std::size_t i = 0; i + 1 < x.size(); ++i) {
      const float positive = x[i] > 0.0f ? to_float(rounded[i]) : 0.0f;
      EXPECT_EQ(to_float(g[i]), positive) << table->name << ' ' << x[i];
      EXPECT_EQ(to_float(d[i]), x[i] == 0.0f ? 0.5f : (x[i] > 0.0f ? 1.0f : 0.0f))
          << table->name << ' ' << x[i];
    }
    EXPECT_TRUE(std::isnan(to_float(g.back())) && std::isnan(to_float(d.back()))) << table->name;
  }
}

TEST(Bf16Kernels, ColumnSumsAddWhatIsStored) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    Both x(n, p, 1, 100.0f);
    GuardedFloats wanted(n, 0, 1.0f), seen(n, shifted(p, 1), 1.0f);
    for (const bool accumulate : {false, true}) {
      table.column_sums(kRows, n, {x.floats.data(), n}, wanted.data(), accumulate);
      table.bf16.column_sums(kRows, n, {x.halves.data(), n}, seen.data(), accumulate);
      ASSERT_EQ(seen.doubles(), wanted.doubles());
    }
    ASSERT_TRUE(seen.intact());
  });
}

/// Where the logits are, too: a row of halves begins where its row of floats did.
TEST(Bf16Kernels, SoftmaxGradientMayOverwriteTheLogits) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats logits(kRows * n, p), lse(kRows, 0, 3.0f), wanted(kRows * n, 0);
    fill(logits, 1, 3.0f);
    std::vector<std::int32_t> targets(kRows);
    for (std::int64_t r = 0; r < kRows; ++r) {
      targets[static_cast<std::size_t>(r)] = static_cast<std::int32_t>(10 + r * (n + 1) / kRows);
    }
    table.softmax_gradient(kRows, n, {logits.data(), n}, lse.data(), targets.data(), 10, 0.25f,
                           {wanted.data(), n});
    GuardedBf16 apart(kRows * n, shifted(p, 1));
    table.bf16.softmax_gradient(kRows, n, {logits.data(), n}, lse.data(), targets.data(), 10, 0.25f,
                                {apart.data(), n});
    auto* const place = reinterpret_cast<Bf16*>(logits.data());
    table.bf16.softmax_gradient(kRows, n, {logits.data(), n}, lse.data(), targets.data(), 10, 0.25f,
                                {place, 2 * n});
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t i = 0; i < n; ++i) {
        ASSERT_EQ(apart[r * n + i].bits, to_bf16(wanted[r * n + i]).bits) << r << ' ' << i;
        Bf16 there;
        std::memcpy(&there, place + r * 2 * n + i, sizeof there);
        ASSERT_EQ(there.bits, apart[r * n + i].bits) << r << ' ' << i;
      }
    }
    ASSERT_TRUE(apart.intact() && logits.intact());
  });
}

}  // namespace
}  // namespace cllm
