// A permutation has every number once, for any length, and its orders are about equally likely.
#include "base/permutation.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace cllm {
namespace {

std::vector<std::uint64_t> order(std::uint64_t n, std::uint64_t seed, std::uint64_t number) {
  const Permutation permutation(n, seed, RandomStream::kTest, number);
  std::vector<std::uint64_t> all;
  for (std::uint64_t i = 0; i < n; ++i) all.push_back(permutation[i]);
  return all;
}

TEST(Permutation, HasEveryNumberOnce) {
  for (std::uint64_t n = 1; n < 300; ++n) {
    std::vector<bool> seen(n);
    for (const std::uint64_t value : order(n, 5, n)) {
      ASSERT_LT(value, n);
      ASSERT_FALSE(seen[value]) << n;
      seen[value] = true;
    }
  }
}

TEST(Permutation, FindsAnyPlaceOfAVeryLongOrder) {
  const std::uint64_t n = (std::uint64_t{1} << 62) - 57;
  const Permutation permutation(n, 1, RandomStream::kTest, 2);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    ASSERT_LT(permutation[n - 1 - i], n);
    ASSERT_NE(permutation[i], permutation[i + 1]);
  }
}

TEST(Permutation, IsAPureFunctionOfSeedAndNumber) {
  EXPECT_EQ(order(50, 1, 7), order(50, 1, 7));
  EXPECT_NE(order(50, 1, 7), order(50, 2, 7));
  EXPECT_NE(order(50, 1, 7), order(50, 1, 8));
}

TEST(Permutation, EveryOrderOfThreeIsAboutEquallyLikely) {
  std::map<std::vector<std::uint64_t>, double> counts;
  for (std::uint64_t number = 0; number < 6000; ++number) ++counts[order(3, 3, number)];
  ASSERT_EQ(counts.size(), 6u);
  double chi_squared = 0;
  for (const auto& [unused, count] : counts) {
    chi_squared += (count - 1000) * (count - 1000) / 1000;
  }
  EXPECT_LT(chi_squared, 21);  // 5 degrees of freedom: exceeded by chance once in 1000 seeds
}

TEST(Permutation, EveryNumberIsInEveryPlaceAboutEquallyOften) {
  constexpr std::uint64_t kN = 11, kOrders = 11'000;
  std::vector<double> counts(kN * kN, 0);
  for (std::uint64_t number = 0; number < kOrders; ++number) {
    const std::vector<std::uint64_t> all = order(kN, 4, number);
    for (std::uint64_t i = 0; i < kN; ++i) ++counts[i * kN + all[i]];
  }
  double chi_squared = 0;
  for (const double count : counts) chi_squared += (count - 1000) * (count - 1000) / 1000;
  EXPECT_LT(chi_squared, 149);  // 100 degrees of freedom: exceeded once in 1000 seeds
}

}  // namespace
}  // namespace cllm
