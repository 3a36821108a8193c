// The generator matches its published vectors; these tests also check what is made from its bits.
#include "base/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace cllm {
namespace {

RandomBlock draw(std::uint64_t index) { return random_block(7, RandomStream::kTest, 0, index); }

TEST(Philox, KnownAnswers) {
  // The known-answer file of Random123, lines "philox4x32 10".
  EXPECT_EQ(philox4x32(0, {0, 0, 0, 0}),
            (RandomBlock{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}));
  EXPECT_EQ(philox4x32(~std::uint64_t{0}, {~0u, ~0u, ~0u, ~0u}),
            (RandomBlock{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}));
  EXPECT_EQ(philox4x32(0x299f31d0a4093822u, {0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}),
            (RandomBlock{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}));
}

TEST(Philox, KnownAnswersOfSevenRounds) {
  // The same file, lines "philox4x32 7".
  EXPECT_EQ(philox4x32<7>(0, {0, 0, 0, 0}),
            (RandomBlock{0x5f6fb709u, 0x0d893f64u, 0x4f121f81u, 0x4f730a48u}));
  EXPECT_EQ(philox4x32<7>(~std::uint64_t{0}, {~0u, ~0u, ~0u, ~0u}),
            (RandomBlock{0x5207ddc2u, 0x45165e59u, 0x4d8ee751u, 0x8c52f662u}));
  EXPECT_EQ(
      philox4x32<7>(0x299f31d0a4093822u, {0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}),
      (RandomBlock{0x4dfccabau, 0x190a87f0u, 0xc47362bau, 0xb6b5242au}));
}

TEST(Philox, EveryArgumentOfABlockMatters) {
  const std::uint64_t high = std::uint64_t{1} << 32;
  const std::set<RandomBlock> blocks = {random_block(1, RandomStream::kSampler, 2, 3),
                                        random_block(2, RandomStream::kSampler, 2, 3),
                                        random_block(1 + high, RandomStream::kSampler, 2, 3),
                                        random_block(1, RandomStream::kDropout, 2, 3),
                                        random_block(1, RandomStream::kSampler, 3, 3),
                                        random_block(1, RandomStream::kSampler, 2, 4),
                                        random_block(1, RandomStream::kSampler, 2, 3 + high)};
  EXPECT_EQ(blocks.size(), 7u);
}

TEST(Uniform, StaysInsideItsInterval) {
  EXPECT_EQ(uniform_float(0), 0.0f);
  EXPECT_LT(uniform_float(~0u), 1.0f);
  EXPECT_GT(uniform_float(~0u), 0.9999999f);
  EXPECT_EQ(uniform_double(0), 0.0);
  EXPECT_LT(uniform_double(~std::uint64_t{0}), 1.0);
}

TEST(Uniform, BelowIsTheHighHalfOfTheProduct) {
  __extension__ using Wide = unsigned __int128;
  const std::uint64_t edges[] = {1, 2, 3, 0xFFFFFFFFu, std::uint64_t{1} << 32, ~std::uint64_t{0}};
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const std::uint64_t bits = i < 6 ? edges[i] : random_bits64(draw(i), 0);
    const std::uint64_t n = i % 8 < 6 ? edges[i % 8] : random_bits64(draw(i), 1) | 1;
    const auto expected = static_cast<std::uint64_t>((Wide{bits} * n) >> 64);
    ASSERT_EQ(uniform_below(bits, n), expected) << bits << " below " << n;
    ASSERT_LT(uniform_below(bits, n), n);
  }
}

TEST(Uniform, BelowTakesEveryValueEquallyOften) {
  constexpr std::uint64_t kValues = 13;
  constexpr std::uint64_t kDraws = 130'000;
  std::vector<double> counts(kValues, 0.0);
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    ++counts[uniform_below(random_bits64(draw(i), 0), kValues)];
  }
  double chi_squared = 0;
  const double expected = static_cast<double>(kDraws / kValues);
  for (const double count : counts)
    chi_squared += (count - expected) * (count - expected) / expected;
  EXPECT_LT(chi_squared, 33.0);  // 12 degrees of freedom: exceeded by chance once in 1000 keys
}

TEST(Normal, HasTheMomentsOfAStandardNormal) {
  constexpr std::uint64_t kPairs = 100'000;
  double sum = 0, squares = 0, fourth = 0, cross = 0;
  std::uint64_t beyond_two = 0;
  for (std::uint64_t i = 0; i < kPairs; ++i) {
    const auto pair = normal_pair(draw(i));
    cross += pair[0] * pair[1];
    for (const double x : pair) {
      sum += x;
      squares += x * x;
      fourth += x * x * x * x;
      beyond_two += std::fabs(x) > 2.0;
    }
  }
  const double n = 2.0 * kPairs;  // bounds are about four standard errors
  EXPECT_NEAR(sum / n, 0.0, 0.009);
  EXPECT_NEAR(squares / n, 1.0, 0.013);
  EXPECT_NEAR(fourth / n, 3.0, 0.09);
  EXPECT_NEAR(cross / kPairs, 0.0, 0.013);
  EXPECT_NEAR(static_cast<double>(beyond_two) / n, 0.0455, 0.0019);
}

TEST(Normal, IsFiniteForEveryExtremeBlock) {
  for (const RandomBlock& block : {RandomBlock{0, 0, 0, 0}, RandomBlock{~0u, ~0u, ~0u, ~0u}}) {
    for (const double x : normal_pair(block)) EXPECT_TRUE(std::isfinite(x));
  }
}

}  // namespace
}  // namespace cllm
