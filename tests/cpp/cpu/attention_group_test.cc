// A head of keys that serves a group of heads of queries gives what it gives to each alone, and
// gets the sum of their gradients.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "attention_head.h"
#include "isa_test.h"

namespace cllm {
namespace {

struct GroupCase {
  std::int64_t length, width, group;
  double dropout;
};

constexpr GroupCase kCases[] = {{1, 5, 2, 0},    {33, 12, 5, 0},    {64, 16, 3, 0.2},
                                {130, 20, 2, 0}, {200, 33, 3, 0.3}, {257, 64, 4, 0}};

/// Holds the operands of one group; all heads lie side by side in rows with a gap at the end.
template <class T>
struct Group {
  explicit Group(const GroupCase& c)
      : what(c),
        ld(c.group * c.width + 2 * c.width + 3),
        ld_out(c.group * c.width + 1),
        qkv(values(c.length * ld, 1)),
        dout(values(c.length * ld_out, 2)),
        out(dout.size()),
        dqkv(qkv.size()),
        lse(static_cast<std::size_t>(c.group * c.length)) {}

  static std::vector<T> values(std::int64_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<T> all(static_cast<std::size_t>(count));
    for (T& x : all) convert(normal(random), x);
    return all;
  }

  /// Returns the arguments of `heads` heads from `first` on, with a scratch of that size.
  AttentionArgs<T> arguments(const KernelTable& table, std::int64_t first, std::int64_t heads) {
    const std::int64_t D = what.width, all = what.group * D;
    const std::size_t needed =
        activation_kernels<T>(table).attention_scratch_floats(what.length, D, heads);
    scratch.assign(needed + kEdge, kAttentionNaN);
    std::fill(scratch.end() - kEdge, scratch.end(), kAttentionCanary);
    AttentionArgs<T> args{};
    args.length = args.row_end = what.length;
    args.head_width = D;
    args.group = heads;
    args.scale = 0.4f;
    args.q = qkv.data() + first * D;
    args.k = qkv.data() + all;
    args.v = args.k + D;
    args.ld_qkv = args.ld_dqkv = ld;
    args.out = out.data() + first * D;
    args.dout = dout.data() + first * D;
    args.ld_out = ld_out;
    args.lse = lse.data() + first * what.length;
    args.scratch = scratch.data();
    args.dq = dqkv.data() + first * D;
    args.dk = dqkv.data() + all;
    args.dv = args.dk + D;
    if (what.dropout > 0) {
      args.dropout.key = 77;
      args.dropout.head = static_cast<std::uint32_t>(first);
      args.dropout.threshold = static_cast<std::uint32_t>(what.dropout * 65536);
      args.dropout.scale = 65536.0f / static_cast<float>(65536 - args.dropout.threshold);
    }
    return args;
  }
  void expect_no_spill() const {
    for (std::size_t i = scratch.size() - kEdge; i < scratch.size(); ++i) {
      ASSERT_EQ(bits(scratch[i]), bits(kAttentionCanary)) << "beyond the scratch";
    }
  }
  Floats of_keys() const {
    Floats all;
    for (std::int64_t r = 0; r < what.length; ++r) {
      for (std::int64_t i = 0; i < 2 * what.width; ++i) {
        all.push_back(
            as_float(dqkv[static_cast<std::size_t>(r * ld + what.group * what.width + i)]));
      }
    }
    return all;
  }

  const GroupCase what;
  const std::int64_t ld, ld_out;
  std::vector<T> qkv, dout, out, dqkv;
  Floats lse, scratch;
};

class AttentionGroup : public IsaTest {
 protected:
  template <class T>
  void expect_the_heads_together(const GroupCase& c, float tolerance) {
    const ActivationKernels<T>& kernels = activation_kernels<T>(*table_);
    Group<T> together(c), apart(c);
    for (std::int64_t begin = 0; begin < c.length; begin += 128) {  // in blocks of queries
      AttentionArgs<T> args = together.arguments(*table_, 0, c.group);
      args.row_begin = begin;
      args.row_end = std::min(c.length, begin + 128);
      kernels.attention_forward(args);
      together.expect_no_spill();
    }
    kernels.attention_backward(together.arguments(*table_, 0, c.group));
    together.expect_no_spill();

    std::vector<double> sums(together.of_keys().size());
    for (std::int64_t g = 0; g < c.group; ++g) {
      kernels.attention_forward(apart.arguments(*table_, g, 1));
      kernels.attention_backward(apart.arguments(*table_, g, 1));
      const Floats head = apart.of_keys();
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<double>(head[i]);
    }
    const auto columns = static_cast<std::size_t>(c.group * c.width);
    for (std::int64_t r = 0; r < c.length; ++r) {
      const auto row = static_cast<std::size_t>(r);
      for (std::size_t i = 0; i < columns; ++i) {
        const std::size_t at = row * static_cast<std::size_t>(together.ld_out) + i;
        ASSERT_EQ(bits(as_float(together.out[at])), bits(as_float(apart.out[at])));
        const std::size_t d = row * static_cast<std::size_t>(together.ld) + i;
        ASSERT_EQ(bits(as_float(together.dqkv[d])), bits(as_float(apart.dqkv[d])));
      }
    }
    EXPECT_EQ(together.lse, apart.lse);
    const Floats seen = together.of_keys();
    double most = 0;
    for (const double x : sums) most = std::max(most, std::fabs(x));
    for (std::size_t i = 0; i < sums.size(); ++i) {
      ASSERT_NEAR(static_cast<double>(seen[i]), sums[i], static_cast<double>(tolerance) * most);
    }
  }
};

TEST_P(AttentionGroup, IsItsHeadsTogether) {
  for (const GroupCase& c : kCases) {
    SCOPED_TRACE("T " + std::to_string(c.length) + ", D " + std::to_string(c.width) + ", G " +
                 std::to_string(c.group));
    expect_the_heads_together<float>(c, 1e-5f);
    expect_the_heads_together<Bf16>(c, 2e-2f);
  }
}

CLLM_IN_EVERY_ISA(AttentionGroup);

}  // namespace
}  // namespace cllm
