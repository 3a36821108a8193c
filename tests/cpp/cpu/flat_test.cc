// The flat-range kernels of every ISA are compared with double-precision references.
#include "kernel_testing.h"

namespace cllm {
namespace {

TEST(FlatKernels, AddRoundsOnce) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats a(n, p), b(n, shifted(p, 1)), out(n, shifted(p, 2));
    fill(a, 1);
    fill(b, 2);
    table.add(static_cast<std::size_t>(n), a.data(), b.data(), out.data());
    for (std::int64_t i = 0; i < n; ++i) ASSERT_EQ(out[i], a[i] + b[i]) << i;
    const std::vector<double> sum = out.doubles();
    table.add(static_cast<std::size_t>(n), a.data(), b.data(), a.data());  // aliased
    ASSERT_EQ(a.doubles(), sum);
    ASSERT_TRUE(out.intact() && a.intact());
  });
}

TEST(FlatKernels, OrderedSumAddsInTheOrderOfTheSources) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats a(n, p), b(n, shifted(p, 1)), c(n, shifted(p, 2)), out(n, shifted(p, 3));
    fill(a, 1, 1e-3f);
    fill(b, 2, 1e4f);  // sizes so unequal that another order gives other bits
    fill(c, 3);
    const float* sources[] = {a.data(), b.data(), c.data()};
    table.ordered_sum(static_cast<std::size_t>(n), 3, sources, out.data());
    for (std::int64_t i = 0; i < n; ++i) ASSERT_EQ(out[i], (a[i] + b[i]) + c[i]) << i;
    table.ordered_sum(static_cast<std::size_t>(n), 3, sources, b.data());
    ASSERT_EQ(b.doubles(), out.doubles());
    table.ordered_sum(static_cast<std::size_t>(n), 1, sources + 2, out.data());
    ASSERT_EQ(c.doubles(), out.doubles());
    ASSERT_TRUE(out.intact() && b.intact());
  });
}

TEST(FlatKernels, SumSquaresIsWithinOneRunsRounding) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats x(n, p);
    fill(x, 1);
    double want = 0.0;
    for (double v : x.doubles()) want += v * v;
    const double got = table.sum_squares(static_cast<std::size_t>(n), x.data());
    const double steps = 4.0 + std::min<double>(static_cast<double>(n), 1024.0) / 4.0;
    ASSERT_NEAR(got, want, want * kEpsilon * steps);
  });
}

TEST(FlatKernels, SumSquaresOfABlockKeepsItsDigits) {
  // A float chain over 65536 equal terms is off by about 1e-4; runs in double must not be.
  for (const KernelTable* table : runnable_kernels()) {
    GuardedFloats x(65536, 0, 0.1f);
    const double want = 65536.0 * 0.1f * 0.1f;
    EXPECT_NEAR(table->sum_squares(65536, x.data()), want, want * 4e-6) << table->name;
    x[65535] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(table->sum_squares(65536, x.data()))) << table->name;
    EXPECT_EQ(table->sum_squares(0, x.data()), 0.0);
  }
}

TEST(FlatKernels, AdamWMatchesTheFormula) {
  const AdamWArgs args{
      0.01f, 0.9f, 0.99f, 1e-3f, 0.1f, 1.0f / (1.0f - 0.729f), 1.0f / (1.0f - 0.970299f), 0.5f};
  for_all_cases([&](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats g(n, p), w(n, shifted(p, 1)), m(n, shifted(p, 2)), v(n, shifted(p, 3));
    fill(g, 1);
    fill(w, 2);
    fill(m, 3, 0.1f);
    fill(v, 4, 0.01f, 0.011f);
    const std::vector<double> g0 = g.doubles(), w0 = w.doubles(), m0 = m.doubles(),
                              v0 = v.doubles();
    table.adamw(static_cast<std::size_t>(n), args, g.data(), w.data(), m.data(), v.data());
    for (std::size_t i = 0; i < g0.size(); ++i) {
      const double gradient = g0[i] * args.gradient_scale;
      const double beta1 = args.beta1, beta2 = args.beta2;
      const double first = beta1 * m0[i] + (1 - beta1) * gradient;
      const double second = beta2 * v0[i] + (1 - beta2) * gradient * gradient;
      const double update =
          first * args.correction1 / (std::sqrt(second * args.correction2) + double{args.epsilon});
      const double want = w0[i] - args.learning_rate * (update + args.weight_decay * w0[i]);
      const auto at = static_cast<std::int64_t>(i);
      const double terms = std::fabs(beta1 * m0[i]) + std::fabs((1 - beta1) * gradient);
      ASSERT_NEAR(m[at], first, 3 * kEpsilon * terms) << i;
      ASSERT_NEAR(v[at], second, 4 * kEpsilon * second) << i;
      const double update_error =
          3 * terms * args.correction1 / std::sqrt(second * args.correction2) +
          8 * std::fabs(update);
      ASSERT_NEAR(w[at], want, kEpsilon * (std::fabs(want) + args.learning_rate * update_error))
          << i;
    }
    ASSERT_EQ(g.doubles(), g0);
    ASSERT_TRUE(w.intact() && m.intact() && v.intact());
  });
}

TEST(FlatKernels, AdamWWithoutAnyGradientOnlyDecays) {
  // 0 / (sqrt(0) + epsilon) is 0; a missing epsilon would make NaN of it.
  for (const KernelTable* table : runnable_kernels()) {
    std::vector<float> zeros(21, 0.0f), w(21, 2.0f), m(21, 0.0f), v(21, 0.0f);
    const AdamWArgs args{0.5f, 0.9f, 0.99f, 1e-8f, 0.25f, 10.0f, 100.0f, 1.0f};
    table->adamw(21, args, zeros.data(), w.data(), m.data(), v.data());
    EXPECT_EQ(w, std::vector<float>(21, 1.75f)) << table->name;
    EXPECT_EQ(m, zeros);
    EXPECT_EQ(v, zeros);
  }
}

/// Largest error of a function over every 4099th float of [low, high].
template <class Kernel, class Reference>
double worst_error(Kernel kernel, Reference reference, float low, float high, bool relative) {
  std::vector<float> x;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 4099) {
    const auto word = static_cast<std::uint32_t>(bits);
    float value;
    std::memcpy(&value, &word, sizeof value);
    if (value >= low && value <= high) x.push_back(value);
  }
  std::vector<float> y(x.size());
  kernel(x.size(), x.data(), y.data());
  double worst = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double want = reference(static_cast<double>(x[i]));
    const double error = std::fabs(y[i] - want) / (relative ? want : 1.0);
    if (!(error <= worst) && !std::isnan(worst)) worst = error;
  }
  return worst;
}

TEST(Exponential, KeepsItsStatedError) {
  for (const KernelTable* table : runnable_kernels()) {
    const auto reference = [](double x) { return std::exp(x); };
    EXPECT_LE(worst_error(table->exp, reference, -87.0f, 88.0f, true), 1.85e-7) << table->name;
  }
}

TEST(HyperbolicTangent, KeepsItsStatedError) {
  for (const KernelTable* table : runnable_kernels()) {
    const auto reference = [](double x) { return std::tanh(x); };
    EXPECT_LE(worst_error(table->tanh, reference, -3e38f, 3e38f, false), 1.2e-7) << table->name;
  }
}

TEST(Exponential, EndsOfTheRange) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const KernelTable* table : runnable_kernels()) {
    // 21 of them, so that every ISA meets them in full and in partial registers.
    std::vector<float> x(21), y(21);
    const auto all = [&](float value) {
      x.assign(21, value);
      table->exp(21, x.data(), y.data());
      for (float v : y) {
        if (std::memcmp(&v, &y[0], sizeof v) != 0) ADD_FAILURE() << table->name << " at " << value;
      }
      return y[0];
    };
    EXPECT_EQ(all(0.0f), 1.0f);
    EXPECT_EQ(all(-0.0f), 1.0f);
    EXPECT_EQ(all(-kInfinity), 0.0f);
    EXPECT_EQ(all(-1e30f), 0.0f);
    EXPECT_EQ(all(-87.34f), 0.0f);
    EXPECT_GT(all(-87.33f), 1.1e-38f);
    EXPECT_EQ(all(89.0f), kInfinity);
    EXPECT_EQ(all(1e30f), kInfinity);
    EXPECT_EQ(all(kInfinity), kInfinity);
    EXPECT_TRUE(std::isnan(all(std::numeric_limits<float>::quiet_NaN())));
  }
}

TEST(HyperbolicTangent, IsOddAndExactAtZeroAndAtTheEnds) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const KernelTable* table : runnable_kernels()) {
    const std::vector<float> x = {
        0.0f, -0.0f, kInfinity, -kInfinity, 50.0f, -50.0f, std::numeric_limits<float>::quiet_NaN()};
    std::vector<float> y(x.size());
    table->tanh(x.size(), x.data(), y.data());
    EXPECT_EQ(y[0], 0.0f);
    EXPECT_FALSE(std::signbit(y[0]));
    EXPECT_EQ(y[1], 0.0f);
    EXPECT_TRUE(std::signbit(y[1]));
    EXPECT_EQ(y[2], 1.0f);
    EXPECT_EQ(y[3], -1.0f);
    EXPECT_EQ(y[4], 1.0f);
    EXPECT_EQ(y[5], -1.0f);
    EXPECT_TRUE(std::isnan(y[6]));
    for (float v = 0.001f; v < 9.0f; v *= 1.1f) {
      const float pair[2] = {v, -v};
      float result[2];
      table->tanh(2, pair, result);
      EXPECT_EQ(result[0], -result[1]) << table->name << " at " << v;
    }
  }
}

TEST(Exponential, EveryLengthAndPlacement) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats x(n, p), e(n, shifted(p, 1)), t(n, shifted(p, 2));
    fill(x, 1, 20.0f);
    table.exp(static_cast<std::size_t>(n), x.data(), e.data());
    table.tanh(static_cast<std::size_t>(n), x.data(), t.data());
    for (std::int64_t i = 0; i < n; ++i) {
      const double want = std::exp(static_cast<double>(x[i]));
      ASSERT_NEAR(e[i], want, 2e-7 * want) << i;
      ASSERT_NEAR(t[i], std::tanh(static_cast<double>(x[i])), 1.2e-7) << i;
    }
    ASSERT_TRUE(e.intact() && t.intact());
  });
}

}  // namespace
}  // namespace cllm
