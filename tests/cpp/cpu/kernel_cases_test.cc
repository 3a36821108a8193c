// Every kernel of the table keeps the promises of all kernels, in every ISA, as its case calls it.
// What one kernel computes is tested with its kind.
#include "cpu/kernel_cases.h"

#include <memory>
#include <set>

#include "kernel_testing.h"

namespace cllm {
namespace {

/// The operands of a call in guarded memory.
class GuardedCall {
 public:
  GuardedCall(const KernelCase& what, const KernelTable& table, const KernelSizes& sizes,
              int placement)
      : what_(what) {
    for (int i = 0; i < what.operands(); ++i) {
      const KernelOperand& operand = what.operand[i];
      const std::int64_t elements = operand.elements(table, sizes);
      // Scratch is aligned by contract.
      const int at = operand.use == OperandUse::kScratch ? 0 : shifted(placement, i);
      floats_.push_back(operand.bf16 ? nullptr : std::make_unique<GuardedFloats>(elements, at));
      halves_.push_back(operand.bf16 ? std::make_unique<GuardedArray<Bf16>>(elements, at)
                                     : nullptr);
      data_.push_back(operand.bf16 ? static_cast<void*>(halves_.back()->data())
                                   : floats_.back()->data());
      fill_operand(operand, table, sizes, static_cast<std::uint32_t>(i), data_.back());
      sizes_.push_back(static_cast<std::size_t>(operand.bytes(table, sizes)));
      before_.push_back(bytes(i));
    }
    what.call(table, sizes, {data_.data()});
  }

  bool intact(int i) const {
    const auto at = static_cast<std::size_t>(i);
    return floats_[at] ? floats_[at]->intact() : halves_[at]->intact();
  }
  std::string bytes(int i) const {
    const auto at = static_cast<std::size_t>(i);
    return {static_cast<const char*>(data_[at]), sizes_[at]};
  }
  const std::string& before(int i) const { return before_[static_cast<std::size_t>(i)]; }
  std::vector<double> values(int i) const {
    const auto at = static_cast<std::size_t>(i);
    std::vector<double> all;
    if (what_.operand[i].bf16) {
      const auto* x = static_cast<const Bf16*>(data_[at]);
      for (std::size_t n = 0; n < sizes_[at] / sizeof *x; ++n) all.push_back(to_float(x[n]));
    } else {
      const auto* x = static_cast<const float*>(data_[at]);
      all.assign(x, x + sizes_[at] / sizeof *x);
    }
    return all;
  }

 private:
  const KernelCase& what_;
  std::vector<std::unique_ptr<GuardedFloats>> floats_;  // of each operand one or the other
  std::vector<std::unique_ptr<GuardedArray<Bf16>>> halves_;
  std::vector<void*> data_;
  std::vector<std::size_t> sizes_;
  std::vector<std::string> before_;
};

/// Around every vector width, a micro tile, and a few that reach the long loops.
std::vector<KernelSizes> sizes_of(const KernelCase& what) {
  std::vector<KernelSizes> all;
  for (int variant = 0; variant < what.variant_count(); ++variant) {
    if (what.shape == KernelShape::kProduct) {
      for (std::int64_t n : {1, 16, 65, 130}) {
        for (std::int64_t k : {1, 33, 300}) all.push_back({n % 11 + 1, n, k, variant});
      }
      all.push_back({70, 70, 70, variant});
    } else if (what.shape == KernelShape::kAttention) {
      for (std::int64_t length : {1, 7, 65, 130, 300}) {
        for (std::int64_t width : {1, 33, 64}) all.push_back({length, width, 256, variant});
      }
    } else {
      for (std::int64_t n : {1, 7, 8, 15, 17, 33, 70, 1030}) {
        for (std::int64_t rows : {1, 5}) all.push_back({rows, n, 1, variant});
      }
    }
  }
  return all;
}

/// Calls body(case, table, sizes) with all of them; stops at a failure.
template <class Body>
void for_all_calls(Body body) {
  for (const KernelCase& what : kernel_cases()) {
    for (const KernelTable* table : runnable_kernels()) {
      for (const KernelSizes& sizes : sizes_of(what)) {
        SCOPED_TRACE(what.name(sizes.variant) + ", " + table->name + ", " +
                     std::to_string(sizes.rows) + " x " + std::to_string(sizes.columns) + " x " +
                     std::to_string(sizes.depth));
        body(what, *table, sizes);
        if (::testing::Test::HasFailure()) return;
      }
    }
  }
}

TEST(KernelCases, NameEveryKernelOnce) {
  std::set<std::string> names;
  for (const KernelCase& what : kernel_cases()) {
    EXPECT_TRUE(names.insert(what.name(0)).second) << what.name(0);
  }
  EXPECT_EQ(&kernel_case("adamw"), &kernel_case("adamw", false));
  EXPECT_TRUE(kernel_case("gemm", true).bf16);
  EXPECT_THROW(kernel_case("adamw", true), std::invalid_argument);
}

TEST(KernelCases, CountWhatMoves) {
  const KernelTable& table = *runnable_kernels()[0];
  const KernelSizes sizes{3, 100, 1, 0};
  EXPECT_EQ(kernel_case("adamw").bytes_moved(table, sizes), 7 * 4 * 300);
  EXPECT_EQ(kernel_case("round_bf16").bytes_moved(table, sizes), 6 * 300);
  EXPECT_EQ(kernel_case("ordered_sum").bytes_moved(table, {1, 100, 1, 1}), 4 * 4 * 100);
  EXPECT_EQ(kernel_case("gemm").operations({2, 3, 5, 0}), 2.0 * 30);
  EXPECT_EQ(kernel_case("attention_forward").operations({257, 10, 256, 0}),
            4.0 * 10 * (256 * 257 / 2 + 1));
}

TEST(KernelCases, WriteTheirResultsAndNothingElseWhereverTheOperandsAre) {
  for_all_calls([](const KernelCase& what, const KernelTable& table, const KernelSizes& sizes) {
    const GuardedCall first(what, table, sizes, 0);
    for (const int placement : {13, kAtPageEnd}) {
      const GuardedCall call(what, table, sizes, placement);
      for (int i = 0; i < what.operands(); ++i) {
        const OperandUse use = what.operand[i].use;
        ASSERT_TRUE(call.intact(i)) << "around operand " << i << ", placement " << placement;
        if (use == OperandUse::kScratch) continue;
        ASSERT_EQ(call.bytes(i), use == OperandUse::kRead ? call.before(i) : first.bytes(i))
            << "operand " << i << ", placement " << placement;
      }
    }
  });
}

TEST(KernelCases, AreCloseToTheScalarOnes) {
  const KernelTable& scalar = *find_kernels("scalar");
  for_all_calls([&](const KernelCase& what, const KernelTable& table, const KernelSizes& sizes) {
    // Panels lie as each ISA likes them; gemm_packed_test meets both ends.
    if (what.kernel == std::string("pack_weight") || what.kernel == std::string("gemm_packed")) {
      return;
    }
    const GuardedCall wanted(what, scalar, sizes, 0), seen(what, table, sizes, 0);
    for (int i = 0; i < what.operands(); ++i) {
      const OperandUse use = what.operand[i].use;
      if (use == OperandUse::kRead || use == OperandUse::kScratch) continue;
      const std::vector<double> a = wanted.values(i), b = seen.values(i);
      ASSERT_EQ(a.size(), b.size());
      double most = 1e-3;
      for (double x : a) most = std::max(most, std::fabs(x));
      // Sums of terms that cancel, and of rounded ones: an error of the largest, not of each.
      const double error = most * (what.bf16 || what.operand[i].bf16 ? 0x1p-7 : 1e-5);
      for (std::size_t n = 0; n < a.size(); ++n) {
        ASSERT_NEAR(a[n], b[n], error) << "operand " << i << ", element " << n;
      }
    }
  });
}

}  // namespace
}  // namespace cllm
