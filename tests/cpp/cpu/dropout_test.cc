// The dropout kernels of every ISA match the definition of dropout; the random numbers are tested,
// too.
#include <array>
#include <cmath>
#include <string>

#include "dropout_reference.h"
#include "kernel_testing.h"

namespace cllm {
namespace {

Dropout some_dropout(std::uint32_t threshold) {
  Dropout d;
  d.key = 0x0123456789abcdefu;
  d.place = 6;
  d.head = 3;
  d.threshold = threshold;
  d.scale = static_cast<float>(65536.0 / (65536.0 - threshold));
  return d;
}

std::vector<float> normal_values(std::int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& x : values) x = normal(random);
  return values;
}

float stored(const float*, float x) { return x; }
float stored(const Bf16*, float x) { return to_float(to_bf16(x)); }
float number(float x) { return x; }
float number(Bf16 x) { return to_float(x); }

class DropoutKernels : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    table_ = find_kernels(GetParam());
    if (table_ == nullptr) GTEST_SKIP() << GetParam() << " does not run here";
  }
  template <class T>
  void expect_rows(std::int64_t columns, int placement);
  const KernelTable* table_ = nullptr;
};

constexpr std::int64_t kRows = 3, kFirstRow = 1021;

TEST_P(DropoutKernels, ResidualIsWhatTheDefinitionSays) {
  const Dropout dropout = some_dropout(13107);
  for (const std::int64_t columns : lengths()) {
    for (const std::int64_t first : {0, 64, 128, 48, 37}) {
      SCOPED_TRACE(std::to_string(columns) + " columns from " + std::to_string(first));
      const std::int64_t ld = columns + 5, ld_residual = columns + 3;
      const std::vector<float> before = normal_values(kRows * ld, 1);
      const std::vector<float> residual = normal_values(kRows * ld_residual, 2);
      GuardedArray<float> bias(columns, kAtPageEnd), x(kRows * ld, 3);
      for (std::int64_t c = 0; c < columns; ++c) bias[c] = static_cast<float>(c) * 0.25f;
      std::copy(before.begin(), before.end(), x.data());
      table_->bias_dropout_residual(kRows, columns, bias.data(), dropout, kFirstRow, first,
                                    {residual.data(), ld_residual}, {x.data(), ld});
      for (std::int64_t r = 0; r < kRows; ++r) {
        for (std::int64_t c = 0; c < ld; ++c) {
          const float old = before[static_cast<std::size_t>(r * ld + c)];
          if (c >= columns) {
            ASSERT_EQ(x[r * ld + c], old) << "between rows";
            continue;
          }
          const bool kept = reference_keeps(dropout, kFirstRow + r, first + c);
          const float added = kept ? (old + bias[c]) * dropout.scale : 0.0f;
          ASSERT_EQ(x[r * ld + c], added + residual[static_cast<std::size_t>(r * ld_residual + c)])
              << "row " << r << " column " << c;
        }
      }
      EXPECT_TRUE(x.intact());
    }
  }
}

template <class T>
void DropoutKernels::expect_rows(std::int64_t columns, int placement) {
  SCOPED_TRACE(std::to_string(columns) + " columns, placement " + std::to_string(placement));
  const Dropout dropout = some_dropout(30000);
  const auto& kernels = activation_kernels<T>(*table_);
  const std::vector<float> from = normal_values(kRows * columns, 4);
  GuardedArray<T> out(kRows * columns, placement);
  GuardedArray<float> sums(columns, placement, 5.0f), parts(columns, placement, 7.0f);
  std::vector<float> wanted(static_cast<std::size_t>(columns), 0.0f);
  kernels.dropout_rows(kRows, columns, from.data(), dropout, kFirstRow, out.data(), sums.data(),
                       false);
  for (std::int64_t r = 0; r < kRows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      const float x = from[static_cast<std::size_t>(r * columns + c)];
      const bool kept = reference_keeps(dropout, kFirstRow + r, c);
      const float value = kept ? x * dropout.scale : 0.0f;
      ASSERT_EQ(number(out[r * columns + c]), stored(out.data(), value)) << r << ", " << c;
      wanted[static_cast<std::size_t>(c)] += value;
    }
  }
  for (std::int64_t c = 0; c < columns; ++c) {
    ASSERT_EQ(sums[c], wanted[static_cast<std::size_t>(c)]) << "sum of column " << c;
  }
  // The same rows by two calls, as a tile with rows of two sequences makes them.
  kernels.dropout_rows(1, columns, from.data(), dropout, kFirstRow, out.data(), parts.data(),
                       false);
  kernels.dropout_rows(kRows - 1, columns, from.data() + columns, dropout, kFirstRow + 1,
                       out.data() + columns, parts.data(), true);
  for (std::int64_t c = 0; c < columns; ++c) ASSERT_EQ(parts[c], sums[c]) << c;
  EXPECT_TRUE(out.intact());
  EXPECT_TRUE(sums.intact());
}

TEST_P(DropoutKernels, RowsAndTheirSumsAreWhatTheDefinitionSays) {
  for (const std::int64_t columns : lengths()) {
    for (const int placement : {0, 1, kAtPageEnd}) {
      expect_rows<float>(columns, placement);
      expect_rows<Bf16>(columns, placement);
    }
  }
}

TEST_P(DropoutKernels, RowsMayBeDroppedInPlace) {
  const Dropout dropout = some_dropout(6554);
  const std::vector<float> from = normal_values(2 * 100, 4);
  std::vector<float> apart(from.size()), within = from;
  table_->dropout_rows(2, 100, from.data(), dropout, 0, apart.data(), nullptr, false);
  table_->dropout_rows(2, 100, within.data(), dropout, 0, within.data(), nullptr, false);
  EXPECT_EQ(within, apart);
}

// What is dropped must be gone even where it is not a number: 0 times it would not be.
TEST_P(DropoutKernels, WhatIsDroppedIsZeroWhateverItWas) {
  const Dropout dropout = some_dropout(65535);
  std::vector<float> x(256, std::numeric_limits<float>::infinity()), sums(256);
  table_->dropout_rows(1, 256, x.data(), dropout, 0, x.data(), sums.data(), false);
  int kept = 0;
  for (const float v : x) kept += v != 0.0f;
  EXPECT_LE(kept, 1);
}

INSTANTIATE_TEST_SUITE_P(Isa, DropoutKernels,
                         testing::Values("scalar", "avx2", "avx512", "avx512bf16"),
                         [](const auto& isa) { return std::string(isa.param); });

// -- the numbers --------------------------------------------------------------------------------

/// 1 where an element is kept, minus the part that is: [rows, columns].
std::vector<double> indicator(const Dropout& dropout, std::int64_t rows, std::int64_t columns) {
  std::vector<float> x(static_cast<std::size_t>(rows * columns), 1.0f);
  kernels().dropout_rows(rows, columns, x.data(), dropout, 0, x.data(), nullptr, false);
  std::vector<double> centred;
  for (const float v : x) {
    centred.push_back((v != 0.0f ? 1.0 : 0.0) - (1.0 - dropout.threshold / 65536.0));
  }
  return centred;
}

double product_mean(const std::vector<double>& a, const std::vector<double>& b, std::size_t lag) {
  double sum = 0;
  for (std::size_t i = 0; i + lag < a.size(); ++i) sum += a[i] * b[i + lag];
  return sum / static_cast<double>(a.size() - lag);
}

constexpr std::int64_t kMany = 1024, kWide = 1024;

TEST(DropoutNumbers, AsManyAreDroppedAsAsked) {
  for (const std::uint32_t threshold : {66u, 6554u, 32768u, 58982u}) {
    const std::vector<double> x = indicator(some_dropout(threshold), kMany, kWide);
    const double p = threshold / 65536.0, n = static_cast<double>(x.size());
    double sum = 0;
    for (const double v : x) sum += v;
    EXPECT_LT(std::abs(sum / n), 4 * std::sqrt(p * (1 - p) / n)) << threshold;
  }
}

TEST(DropoutNumbers, NeighboursKnowNothingOfEachOther) {
  const Dropout dropout = some_dropout(19661);
  const double p = dropout.threshold / 65536.0;
  const std::vector<double> x = indicator(dropout, kMany, kWide);
  const double error = p * (1 - p) / std::sqrt(static_cast<double>(x.size()));
  // In a row by 1 to 9, a word, a block, a piece; the row below; the next but one.
  for (const std::size_t lag :
       {1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 32, 33, 64, 128, 1023, 1024, 1025, 2048, 4096, 65536}) {
    EXPECT_LT(std::abs(product_mean(x, x, lag)), 4.5 * error) << "lag " << lag;
  }
  Dropout other = dropout;
  other.place += 1;
  EXPECT_LT(std::abs(product_mean(x, indicator(other, kMany, kWide), 0)), 4.5 * error) << "site";
  other = dropout;
  other.place += 4;
  EXPECT_LT(std::abs(product_mean(x, indicator(other, kMany, kWide), 0)), 4.5 * error) << "layer";
  other = dropout;
  other.head += 1;
  EXPECT_LT(std::abs(product_mean(x, indicator(other, kMany, kWide), 0)), 4.5 * error) << "head";
  other = dropout;
  other.key += 1;
  EXPECT_LT(std::abs(product_mean(x, indicator(other, kMany, kWide), 0)), 4.5 * error) << "key";
  other = dropout;
  other.key += std::uint64_t{1} << 40;
  EXPECT_LT(std::abs(product_mean(x, indicator(other, kMany, kWide), 0)), 4.5 * error) << "key";
}

TEST(DropoutNumbers, EightInARowTakeEveryPatternEquallyOften) {
  const std::vector<double> x = indicator(some_dropout(32768), kMany, kWide);
  for (const std::size_t stride : {1, 64, 1024}) {  // along a row, over pieces, down a column
    std::array<double, 256> counts{};
    double total = 0;
    for (std::size_t i = 0; i + 7 * stride < x.size(); i += 8 * stride) {
      for (std::size_t j = i; j < i + stride && j + 7 * stride < x.size(); ++j) {
        std::size_t pattern = 0;
        for (std::size_t k = 0; k < 8; ++k) pattern = 2 * pattern + (x[j + k * stride] > 0 ? 1 : 0);
        ++counts[pattern];
        ++total;
      }
    }
    double chi_squared = 0;
    for (const double count : counts) {
      chi_squared += (count - total / 256) * (count - total / 256) / (total / 256);
    }
    EXPECT_LT(chi_squared, 330.5) << stride;  // 255 degrees of freedom: one key in 1000
    EXPECT_GT(chi_squared, 190.0) << stride;  // nor too even
  }
}

}  // namespace
}  // namespace cllm
