// Products with a packed B have the bits of the unpacked product for every instruction set and
// shape, however the weight was packed and the product is cut. They touch nothing beyond the
// operands.
#include <limits>

#include "base/aligned_buffer.h"
#include "gemm_promises.h"

namespace cllm {
namespace {

using testing::GemmCase;
using testing::GemmCaseOf;
using testing::Matrix;
using testing::number;
using testing::operand;
using testing::same_bits;

constexpr GemmForm kForms[] = {GemmForm::kNN, GemmForm::kNT};

class PackedGemm : public testing::NativeProducts {
 protected:
  /// The test's B, packed by parts of `width` columns and runs of `depth` (0: all) of k, the last
  /// one first.
  template <class T>
  AlignedBuffer<T> pack(const GemmCaseOf<T, float>& test, std::int64_t width,
                        std::int64_t depth = 0) const {
    const T canary = operand<T>(GemmCase::kCanary);
    const auto size = static_cast<std::size_t>(packed_size<T>(test.k, test.n));
    AlignedBuffer<T> packed(size + 1);
    std::fill_n(packed.data(), size, operand<T>(std::numeric_limits<float>::quiet_NaN()));
    packed[size] = canary;
    const Matrix& b = test.b;
    for (std::int64_t j = (test.n - 1) / width * width; j >= 0; j -= width) {
      const float* part = b.data() + (test.form == GemmForm::kNT ? j * b.ld : j);
      const std::int64_t run = depth > 0 ? depth : std::max<std::int64_t>(1, test.k);
      for (std::int64_t p = (test.k - 1) / run * run; p >= 0; p -= run) {
        product_kernels<T>(*table_).pack_weight(
            {test.form,
             std::min(run, test.k - p),
             std::min(width, test.n - j),
             {part + (test.form == GemmForm::kNT ? p : p * b.ld), b.ld},
             packed.data() + packed_column<T>(test.k, j),
             test.k,
             p});
      }
    }
    EXPECT_EQ(number(packed[size]), number(canary)) << test.name();
    return packed;
  }

  /// Rows and columns of the product, cut in tiles of height x width.
  template <class T>
  void multiply(GemmCaseOf<T, float>* test, const AlignedBuffer<T>& packed, std::int64_t height,
                std::int64_t width) const {
    const auto all = test->args();
    testing::for_all_parts(test->m, test->n, height, width, [&](auto i, auto j, auto m, auto n) {
      product_kernels<T>(*table_).gemm_packed({m, n, test->k, all.a.at(i, 0),
                                               packed.data() + packed_column<T>(test->k, j),
                                               all.c.at(i, j), test->accumulate});
    });
  }

  template <class T>
  void expect_same_bits_of(const GemmCaseOf<T, float>& test) const {
    GemmCaseOf<T, float> expected = test, seen = test;
    gemm_->run(expected.args());
    multiply(&seen, pack(test, test.n), test.m, test.n);
    // With the gaps between rows: what lies there stays.
    EXPECT_EQ(expected.c.floats, seen.c.floats) << test.name();
  }
  template <class... Shape>
  void expect_same_bits(Shape... shape) const {
    expect_same_bits_of(GemmCaseOf<float, float>(shape...));
    expect_same_bits_of(GemmCaseOf<Bf16, float>(shape...));
  }

  template <class T>
  void expect_same_bits_for_all_cuts(GemmForm form, bool accumulate) const {
    const GemmCaseOf<T, float> test(form, 107, 203, 1101, accumulate);
    GemmCaseOf<T, float> whole = test;
    gemm_->run(whole.args());
    struct Cut {
      std::int64_t height, width, depth;
    };
    for (const auto& [height, width, depth] :
         {Cut{107, 64, 0}, {1, 128, 64}, {32, 64, 50}, {13, 192, 1100}, {97, 203, 2}}) {
      GemmCaseOf<T, float> cut = test;
      multiply(&cut, pack(test, width, depth), height, width);
      EXPECT_TRUE(same_bits(whole.c, cut.c))
          << test.name() << " by " << height << " x " << width << ", k by " << depth;
    }
  }
};

TEST_P(PackedGemm, GivesTheBitsOfTheUnpackedProduct) {
  for (const GemmForm form : kForms) {
    for (const std::int64_t m : {1, 2, 5, 6, 7, 13, 96, 101}) {
      for (const std::int64_t n : {1, 7, 8, 15, 16, 17, 63, 64, 65, 130}) {
        for (const std::int64_t k : {1, 2, 16, 17, 65}) {
          expect_same_bits(form, m, n, k, (m + n + k) % 2 == 0, (m + n) % 5, k % 7);
        }
      }
    }
  }
}

TEST_P(PackedGemm, GivesThemAcrossRunsAndBlocks) {
  for (const GemmForm form : kForms) {
    for (const bool accumulate : {false, true}) {
      expect_same_bits(form, 130, 70, 1100, accumulate, 3, 5);
      expect_same_bits(form, 130, 70, 513, accumulate, 2, 0);
      expect_same_bits(form, 3, 1601, 40, accumulate, 1, 0);
      expect_same_bits(form, 2, 70, 3072, accumulate, 0, 1);
      expect_same_bits(form, 5, 20, 0, accumulate);
    }
  }
}

TEST_P(PackedGemm, BitsDoNotDependOnHowItWasPackedOrCut) {
  for (const GemmForm form : kForms) {
    for (const bool accumulate : {false, true}) {
      expect_same_bits_for_all_cuts<float>(form, accumulate);
      expect_same_bits_for_all_cuts<Bf16>(form, accumulate);
    }
  }
}

CLLM_IN_EVERY_ISA(PackedGemm);

}  // namespace
}  // namespace cllm
