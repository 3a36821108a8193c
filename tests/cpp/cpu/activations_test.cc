// GELU in both forms and ReLU of every ISA are compared with references in double.
#include "family_reference.h"
#include "gapped_matrix.h"
#include "model_reference_math.h"

namespace cllm {
namespace {

constexpr std::int64_t kRows = 7;  // one group of four and a rest in gelu_backward

struct Matrix : GappedMatrix {
  Matrix(std::int64_t columns_, int placement, unsigned seed, float scale = 2.0f)
      : GappedMatrix(kRows, columns_, placement, seed, scale) {}
};

double gelu_tanh_slope(double x) {
  const double step = 1e-5;
  return (reference_gelu(x + step) - reference_gelu(x - step)) / (2 * step);
}

struct Activation {
  const char* name;
  decltype(RowKernels<float>::bias_gelu) RowKernels<float>::* kernel;
  decltype(RowKernels<Bf16>::bias_gelu) RowKernels<Bf16>::* rounded;
  double (*value)(double);
  double (*slope)(double);
};

/// Calls body(activation) with all of them; stops at a failure.
template <class Body>
void for_all_activations(Body body) {
  using Floats = RowKernels<float>;
  using Halves = RowKernels<Bf16>;
  for (const Activation& one :
       {Activation{"gelu", &Floats::bias_gelu, &Halves::bias_gelu, reference_gelu, gelu_tanh_slope},
        Activation{"gelu_erf", &Floats::bias_gelu_erf, &Halves::bias_gelu_erf, gelu_erf,
                   gelu_erf_slope},
        Activation{"relu", &Floats::bias_relu, &Halves::bias_relu, relu, relu_slope}}) {
    SCOPED_TRACE(one.name);
    body(one);
    if (::testing::Test::HasFailure()) return;
  }
}

/// Error of a gelu: that of the gate's exponential, and of its argument z, which |z| s (1 - s)
/// turns into a relative one of the gate.
double value_error(double x) { return kEpsilon * std::fabs(x) * 4.0 + 1e-37; }

TEST(Activations, ForwardAndSlopeMatchDouble) {
  for_all_activations([](const Activation& one) {
    for_all_cases([&](const KernelTable& table, std::int64_t n, int p) {
      GuardedFloats bias(n, p);
      fill(bias, 1);
      Matrix x(n, shifted(p, 1), 2, 6.0f), g(n, shifted(p, 2), 3), slope(n, shifted(p, 3), 4),
          alone(n, shifted(p, 4), 2, 6.0f);
      (table.*one.kernel)(kRows, n, bias.data(), x.view(), g.view(), slope.view());
      (table.*one.kernel)(kRows, n, bias.data(), alone.view(), alone.view(), {nullptr, 0});
      for (std::int64_t r = 0; r < kRows; ++r) {
        for (std::int64_t i = 0; i < n; ++i) {
          const double h = x.at(r, i) + bias[i];
          ASSERT_NEAR(g.at(r, i), one.value(h), value_error(h)) << "at " << h;
          ASSERT_EQ(alone.at(r, i), g.at(r, i)) << "the derivative must not change the value";
          ASSERT_NEAR(slope.at(r, i), one.slope(h), kEpsilon * 8 * (2 + h * h) + 1e-8)
              << "at " << h;
        }
      }
      ASSERT_TRUE(x.intact() && g.intact() && slope.intact() && alone.intact());
    });
  });
}

TEST(Activations, SlopesAreThoseOfFiniteDifferences) {
  for_all_activations([](const Activation& one) {
    for (double x = -7.96; x < 8; x += 0.07) {
      EXPECT_NEAR((one.value(x + 1e-6) - one.value(x - 1e-6)) / 2e-6, one.slope(x), 1e-8) << x;
    }
  });
}

/// A float times 1e-9 is still a float, so what a small value loses to cancelling can be seen.
TEST(Activations, NothingCancelsFarBelowZero) {
  for_all_activations([](const Activation& one) {
    for (const KernelTable* table : runnable_kernels()) {
      for (double x = -12; x < 0; x += 1.0 / 64) {
        const float from = static_cast<float>(x), bias = 0.0f;
        float value = 9.0f;
        (table->*one.kernel)(1, 1, &bias, {&from, 1}, {&value, 1}, {nullptr, 0});
        const double want = one.value(x), magnified = 16 + 4 * x * x * (1 + x * x / 8);
        // The reference of the tanh form cancels itself, in double, below -5.
        if (one.value == reference_gelu && x < -5) continue;
        EXPECT_NEAR(value, want, std::fabs(want) * kEpsilon * magnified) << table->name << ' ' << x;
      }
    }
  });
}

TEST(Activations, BackwardMultipliesAndSumsRowsInOrder) {
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

TEST(Activations, FarEndsAndNan) {
  for_all_activations([](const Activation& one) {
    for (const KernelTable* table : runnable_kernels()) {
      const std::vector<float> x = {0.0f,
                                    -0.0f,
                                    14.0f,
                                    -14.0f,
                                    1e4f,
                                    -1e4f,
                                    1e15f,
                                    -1e15f,
                                    1e30f,
                                    -1e30f,
                                    std::numeric_limits<float>::quiet_NaN()};
      const std::vector<float> bias(x.size(), 0.0f);
      std::vector<float> g(x.size()), d(x.size());
      const auto n = static_cast<std::int64_t>(x.size());
      (table->*one.kernel)(1, n, bias.data(), {x.data(), n}, {g.data(), n}, {d.data(), n});
      for (std::size_t i = 0; i + 1 < x.size(); ++i) {
        if (one.value == reference_gelu && std::fabs(x[i]) > 1e15f) continue;  // x^3 overflows
        const bool positive = x[i] > 0.0f;
        EXPECT_EQ(g[i], positive ? x[i] : 0.0f) << table->name << " at " << x[i];
        const double slope = x[i] == 0.0f ? one.slope(0) : (positive ? 1.0 : 0.0);
        EXPECT_NEAR(d[i], slope, x[i] == 0.0f ? kEpsilon : 0.0) << table->name << " at " << x[i];
      }
      EXPECT_TRUE(std::isnan(g.back())) << table->name;
      EXPECT_EQ(std::isnan(d.back()), one.value != relu) << table->name;
    }
  });
}

TEST(Activations, Bf16StoresTheRoundedOutput) {
  for_all_activations([](const Activation& one) {
    if (one.value == reference_gelu) return;  // bf16_test has its bounds: it is less exact
    for_all_cases([&](const KernelTable& table, std::int64_t n, int p) {
      GuardedFloats bias(n, p);
      fill(bias, 1);
      Matrix x(n, shifted(p, 1), 2, 6.0f), g(n, 0, 3), slope(n, 0, 4);
      GuardedArray<Bf16> g16(kRows * n, shifted(p, 2)), slope16(kRows * n, shifted(p, 3));
      (table.*one.kernel)(kRows, n, bias.data(), x.view(), g.view(), slope.view());
      (table.bf16.*one.rounded)(kRows, n, bias.data(), x.view(), {g16.data(), n},
                                {slope16.data(), n});
      for (std::int64_t r = 0; r < kRows; ++r) {
        for (std::int64_t i = 0; i < n; ++i) {
          ASSERT_EQ(g16[r * n + i].bits, to_bf16(g.at(r, i)).bits) << r << ' ' << i;
          ASSERT_EQ(slope16[r * n + i].bits, to_bf16(slope.at(r, i)).bits) << r << ' ' << i;
        }
      }
      ASSERT_TRUE(g16.intact() && slope16.intact());
    });
  });
}

}  // namespace
}  // namespace cllm
