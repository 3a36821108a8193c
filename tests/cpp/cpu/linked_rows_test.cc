// The sums over linked rows of every ISA are compared with double-precision references.
#include "kernel_testing.h"

namespace cllm {
namespace {

constexpr std::int64_t kRows = 7, kRow = 3;  // links lead from row 3

/// Links in an order of their own, one factor twice, one row twice; 1 to 9 of them.
std::vector<RowLink> some_links(std::int64_t n) {
  const std::vector<RowLink> all = {{-3, 2}, {3, 0},  {1, 1}, {-1, 3}, {2, 4},
                                    {2, 5},  {-2, 6}, {1, 0}, {-1, 7}};
  return {all.begin(), all.begin() + 1 + n % static_cast<std::int64_t>(all.size())};
}

double row_of(const std::vector<double>& x, std::int64_t n, std::int64_t row, std::int64_t i) {
  return x[static_cast<std::size_t>((kRow + row) * n + i)];
}

TEST(LinkedRows, SumAddsEveryLinkInOrder) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats x(kRows * n, p), factors(8, shifted(p, 1)), out(n, shifted(p, 2));
    fill(x, 1);
    fill(factors, 2);
    const std::vector<RowLink> links = some_links(n);
    const auto count = static_cast<std::int64_t>(links.size());
    table.linked_sum(n, count, links.data(), factors.data(), x.data() + kRow * n, out.data());
    const std::vector<double> all = x.doubles(), by = factors.doubles();
    for (std::int64_t i = 0; i < n; ++i) {
      double want = row_of(all, n, 0, i), size = std::abs(want);
      for (const RowLink& link : links) {
        const double term = by[static_cast<std::size_t>(link.factor)] * row_of(all, n, link.row, i);
        want += term;
        size += std::abs(term);
      }
      ASSERT_NEAR(out[i], want, size * kEpsilon * static_cast<double>(count + 1)) << i;
    }
    ASSERT_TRUE(x.intact() && factors.intact() && out.intact());
  });
}

TEST(LinkedRows, FactorsOfZeroChangeNoBit) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats x(kRows * n, p), factors(8, 0), out(n, p);
    fill(x, 1);
    const std::vector<RowLink> links = some_links(n);
    table.linked_sum(n, static_cast<std::int64_t>(links.size()), links.data(), factors.data(),
                     x.data() + kRow * n, out.data());
    ASSERT_EQ(std::memcmp(out.data(), x.data() + kRow * n, static_cast<std::size_t>(n) * 4), 0);
  });
}

TEST(LinkedRows, DotsAreAddedToTheFactorsSums) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats a(n, p), y(kRows * n, shifted(p, 1));
    fill(a, 1);
    fill(y, 2);
    const std::vector<RowLink> links = some_links(n);
    std::vector<double> sums(8, 0.5), want(8, 0.5), sizes(8, 0.5);
    table.linked_dots(n, static_cast<std::int64_t>(links.size()), links.data(), a.data(),
                      y.data() + kRow * n, sums.data());
    const std::vector<double> from = a.doubles(), all = y.doubles();
    for (const RowLink& link : links) {
      for (std::int64_t i = 0; i < n; ++i) {
        const double term = from[static_cast<std::size_t>(i)] * row_of(all, n, link.row, i);
        want[static_cast<std::size_t>(link.factor)] += term;
        sizes[static_cast<std::size_t>(link.factor)] += std::abs(term);
      }
    }
    for (std::size_t f = 0; f < want.size(); ++f) {
      ASSERT_NEAR(sums[f], want[f], sizes[f] * kEpsilon * static_cast<double>(n + 8)) << f;
    }
    ASSERT_TRUE(a.intact() && y.intact());
  });
}

// A product with the same row has the same bits, whichever links are beside it.
TEST(LinkedRows, DotsDoNotDependOnTheirNeighbours) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats a(n, p), y(kRows * n, p);
    fill(a, 1);
    fill(y, 2);
    const std::vector<RowLink> links = {{-3, 0}, {3, 1}, {1, 2}, {-1, 3}, {2, 4}};
    std::vector<double> together(5), alone(5);
    table.linked_dots(n, 5, links.data(), a.data(), y.data() + kRow * n, together.data());
    for (const RowLink& link : links) {
      table.linked_dots(n, 1, &link, a.data(), y.data() + kRow * n, alone.data());
    }
    ASSERT_EQ(together, alone);
  });
}

}  // namespace
}  // namespace cllm
