// Bias, residual and column-sum kernels of every ISA are compared with double-precision
// references.
#include "gapped_matrix.h"

namespace cllm {
namespace {

constexpr std::int64_t kRows = 7;  // one group of four and a rest in column_sums

struct Matrix : GappedMatrix {
  Matrix(std::int64_t columns_, int placement, unsigned seed, float scale = 2.0f)
      : GappedMatrix(kRows, columns_, placement, seed, scale) {}
};

TEST(BiasKernels, AddAndResidualRoundInTheStatedOrder) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    GuardedFloats bias(n, p);
    fill(bias, 1);
    Matrix x(n, shifted(p, 1), 2), before(n, 0, 2), residual(n, shifted(p, 2), 3, 100.0f);
    table.bias_residual(kRows, n, bias.data(), residual.view(), x.view());
    Matrix y(n, shifted(p, 3), 2);
    table.bias_add(kRows, n, bias.data(), y.view(), y.view());
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t i = 0; i < n; ++i) {
        const float biased = before.at(r, i) + bias[i];
        ASSERT_EQ(y.at(r, i), biased);
        ASSERT_EQ(x.at(r, i), biased + residual.at(r, i));
      }
    }
    ASSERT_TRUE(x.intact() && y.intact() && residual.intact());
  });
}

TEST(ColumnSums, AddRowsInOrder) {
  for_all_cases([](const KernelTable& table, std::int64_t n, int p) {
    Matrix x(n, p, 1, 1000.0f);
    GuardedFloats sums(n, shifted(p, 1), 5.0f), more(n, shifted(p, 2));
    fill(more, 2);
    const std::vector<double> start = more.doubles();
    table.column_sums(kRows, n, x.view(), sums.data(), false);
    table.column_sums(kRows, n, x.view(), more.data(), true);
    for (std::int64_t i = 0; i < n; ++i) {
      float fresh = 0.0f, added = static_cast<float>(start[static_cast<std::size_t>(i)]);
      for (std::int64_t r = 0; r < kRows; ++r) {
        fresh += x.at(r, i);
        added += x.at(r, i);
      }
      ASSERT_EQ(sums[i], fresh) << i;
      ASSERT_EQ(more[i], added) << i;
    }
    ASSERT_TRUE(sums.intact() && more.intact());
  });
}

TEST(ColumnSums, CutsBetweenRowsChangeNoBit) {
  for (const KernelTable* table : runnable_kernels()) {
    Matrix x(60, 2, 1, 1000.0f);
    GuardedFloats whole(60, 0), parts(60, 1);
    table->column_sums(kRows, 60, x.view(), whole.data(), false);
    table->column_sums(3, 60, x.view(), parts.data(), false);
    table->column_sums(kRows - 3, 60, x.view().at(3, 0), parts.data(), true);
    EXPECT_EQ(whole.doubles(), parts.doubles()) << table->name;
    table->column_sums(0, 60, x.view(), whole.data(), false);
    EXPECT_EQ(whole.doubles(), std::vector<double>(60, 0.0)) << table->name;
  }
}

}  // namespace
}  // namespace cllm
