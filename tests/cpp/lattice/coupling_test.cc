// The effective embedding and its gradients are compared with the definition in double, and with
// finite differences of a function of the effective embedding.
#include "lattice/coupling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "cpu/features.h"

namespace cllm {
namespace {

struct Case {
  std::int64_t vocabulary, width, order;
};
const Case kCases[] = {{1, 3, 1},     {1, 3, 12},    {5, 4, 12},    {13, 7, 12},
                       {100, 16, 12}, {64, 33, 1},   {31, 8, 2},    {50, 20, 5},
                       {47, 64, 6},   {151, 40, 24}, {90, 1500, 12}};

std::vector<float> some(std::int64_t n, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> number(-1, 1);
  std::vector<float> all(static_cast<std::size_t>(n));
  for (float& x : all) x = number(random);
  return all;
}

/// A coupling with numbers for everything, on one instruction set.
struct Setting {
  Setting(const Case& c, const KernelTable& table)
      : kernels(table),
        coupling(c.vocabulary, c.width, c.order),
        embedding(some(c.vocabulary * c.width, 1)),
        w(some(c.order, 2)),
        folded_gradient(some(c.vocabulary * c.width, 3)),
        gradient(embedding.size()),
        dw(w.size()) {}

  std::vector<float> fold() const {
    std::vector<float> folded(embedding.size());
    for (std::int32_t t = 0; t < coupling.tiles(); ++t) {
      coupling.fold(kernels, t, embedding.data(), w.data(), folded.data());
    }
    return folded;
  }
  void unfold(bool backwards = false) {
    std::vector<double> parts(static_cast<std::size_t>(coupling.tiles()) * w.size());
    for (std::int32_t i = 0; i < coupling.tiles(); ++i) {
      const std::int32_t t = backwards ? coupling.tiles() - 1 - i : i;
      coupling.unfold(kernels, t, embedding.data(), w.data(), folded_gradient.data(),
                      gradient.data(), parts.data() + static_cast<std::size_t>(t) * w.size());
    }
    coupling.sum_parts(parts.data(), dw.data());
  }
  /// A function of the effective embedding with the gradient `folded_gradient`.
  double value() const {
    const std::vector<float> folded = fold();
    double sum = 0;
    for (std::size_t i = 0; i < folded.size(); ++i) {
      sum += static_cast<double>(folded[i]) * static_cast<double>(folded_gradient[i]);
    }
    return sum;
  }

  const KernelTable& kernels;
  const Coupling coupling;
  std::vector<float> embedding, w, folded_gradient, gradient, dw;
};

template <class Body>
void for_settings(Body body) {
  for (const char* name : {"scalar", "avx2", "avx512"}) {
    const KernelTable* const table = find_kernels(name);
    if (table == nullptr) continue;
    for (const Case& c : kCases) {
      SCOPED_TRACE(std::string(name) + ", " + std::to_string(c.vocabulary) + " tokens of " +
                   std::to_string(c.width) + ", order " + std::to_string(c.order));
      Setting setting(c, *table);
      body(c, setting);
    }
  }
}

TEST(Coupling, EffectiveEmbeddingAndGradientsAreTheDefinition) {
  for_settings([](const Case& c, Setting& s) {
    std::vector<double> folded(s.embedding.begin(), s.embedding.end());
    std::vector<double> gradient(s.folded_gradient.begin(), s.folded_gradient.end());
    std::vector<double> dw(s.w.size());
    for (std::int64_t t = 0; t < c.vocabulary; ++t) {
      for (std::int64_t d = 0; d < c.order; ++d) {
        const double w = s.w[static_cast<std::size_t>(d)];
        const std::int64_t n = kissing_neighbour(t, d, c.vocabulary, c.order);
        for (std::int64_t i = 0; i < c.width; ++i) {
          const auto at = static_cast<std::size_t>(t * c.width + i);
          const auto other = static_cast<std::size_t>(n * c.width + i);
          folded[at] += w * static_cast<double>(s.embedding[other]);
          gradient[other] += w * static_cast<double>(s.folded_gradient[at]);
          dw[static_cast<std::size_t>(d)] +=
              static_cast<double>(s.folded_gradient[at]) * static_cast<double>(s.embedding[other]);
        }
      }
    }
    const std::vector<float> got = s.fold();
    s.unfold();
    for (std::size_t i = 0; i < folded.size(); ++i) {
      ASSERT_NEAR(got[i], folded[i], 1e-5) << "E' " << i;
      ASSERT_NEAR(s.gradient[i], gradient[i], 1e-5) << "dE " << i;
    }
    const double elements = static_cast<double>(c.vocabulary * c.width);
    for (std::size_t d = 0; d < dw.size(); ++d) {
      ASSERT_NEAR(s.dw[d], dw[d], 1e-6 * (10 + std::sqrt(elements))) << "dw " << d;
    }
  });
}

// The function is linear in E and in w, so a large step has no error but rounding.
TEST(Coupling, GradientsPassFiniteDifferences) {
  for_settings([](const Case& c, Setting& s) {
    s.unfold();
    const double size = std::sqrt(static_cast<double>(c.vocabulary * c.width));
    const auto slope = [&s](float& x) {
      const float kept = x;
      x = kept + 1;
      const double above = s.value();
      x = kept - 1;
      const double below = s.value();
      x = kept;
      return (above - below) / 2;
    };
    for (std::size_t d = 0; d < s.w.size(); ++d) {
      ASSERT_NEAR(slope(s.w[d]), s.dw[d], 1e-5 * (10 + size)) << "w " << d;
    }
    for (std::size_t i = 0; i < s.embedding.size(); i += 1 + s.embedding.size() / 9) {
      ASSERT_NEAR(slope(s.embedding[i]), s.gradient[i], 1e-5 * (10 + size)) << "E " << i;
    }
  });
}

TEST(Coupling, TheOrderOfTilesDoesNotShow) {
  for_settings([](const Case&, Setting& s) {
    s.unfold();
    const std::vector<float> gradient = s.gradient, dw = s.dw;
    s.unfold(true);
    EXPECT_EQ(s.gradient, gradient);
    EXPECT_EQ(s.dw, dw);
  });
}

TEST(Coupling, CoefficientsOfZeroChangeNothing) {
  for_settings([](const Case&, Setting& s) {
    s.w.assign(s.w.size(), 0.0f);
    s.unfold();
    EXPECT_EQ(s.fold(), s.embedding);
    EXPECT_EQ(s.gradient, s.folded_gradient);
  });
}

TEST(Coupling, TilesDependOnShapesOnly) {
  EXPECT_EQ(Coupling::tiles_for(1, 1), 1);
  EXPECT_EQ(Coupling::tiles_for(8192, 256), 32);
  EXPECT_EQ(Coupling::tiles_for(8193, 256), 33);
  EXPECT_EQ(Coupling::tiles_for(3, 1 << 17), 3) << "a tile has one token at least";
}

}  // namespace
}  // namespace cllm
