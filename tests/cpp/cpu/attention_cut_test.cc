// The results of attention kernels of every ISA and both types do not depend on how a call is cut,
// on alignment, on what is left in scratch, or on later tokens.
#include <gtest/gtest.h>

#include <string>

#include "attention_head.h"
#include "isa_test.h"

namespace cllm {
namespace {

bool same_bits(const Floats& a, const Floats& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

template <class T>
void expect_rows_alone(const KernelTable& table) {
  [[maybe_unused]] const ActivationKernels<T>& kernels = activation_kernels<T>(table);
  for (const std::size_t length : {65, 130, 256, 300}) {
    SCOPED_TRACE("T " + std::to_string(length));
    const AttentionProblem problem = make_problem<T>(length, 20);
    Head<T> whole(problem);
    kernels.attention_forward(whole.arguments(table));

    Head<T> blocks(problem);  // last block first, each with a fresh scratch
    const auto rows = static_cast<std::int64_t>(length);
    for (std::int64_t begin = (rows - 1) / 64 * 64; begin >= 0; begin -= 64) {
      AttentionArgs<T> args = blocks.arguments(table);
      args.row_begin = begin;
      args.row_end = std::min(begin + 64, rows);
      const Floats out_before = blocks.out(), lse_before = blocks.lse();
      kernels.attention_forward(args);
      const Floats out = blocks.out(), lse = blocks.lse();
      for (std::size_t t = 0; t < length; ++t) {  // only the rows asked for change
        const auto row = static_cast<std::int64_t>(t);
        if (row >= args.row_begin && row < args.row_end) continue;
        EXPECT_EQ(bits(lse[t]), bits(lse_before[t])) << "row " << t;
        EXPECT_EQ(bits(out[t * 20]), bits(out_before[t * 20])) << "row " << t;
      }
    }
    EXPECT_TRUE(same_bits(blocks.out(), whole.out()));
    EXPECT_TRUE(same_bits(blocks.lse(), whole.lse()));

    Head<T> odd(problem);  // an end in the middle of a block, and of a group of rows
    AttentionArgs<T> args = odd.arguments(table);
    args.row_end = 65;
    kernels.attention_forward(args);
    args = odd.arguments(table);
    args.row_begin = 64;
    kernels.attention_forward(args);
    EXPECT_TRUE(same_bits(odd.out(), whole.out()));
    EXPECT_TRUE(same_bits(odd.lse(), whole.lse()));
  }
}

template <class T>
void expect_clean_scratch(const KernelTable& table) {
  [[maybe_unused]] const ActivationKernels<T>& kernels = activation_kernels<T>(table);
  const AttentionProblem problem = make_problem<T>(130, 33);
  Head<T> first(problem);
  first.run(table);
  for (const float fill : {0.0f, 1e30f, -std::numeric_limits<float>::infinity()}) {
    Head<T> other(problem);
    const AttentionArgs<T> args = other.arguments(table, fill, fill > 0.0f ? 3 : 1);
    kernels.attention_forward(args);
    kernels.attention_backward(args);
    EXPECT_TRUE(same_bits(other.out(), first.out())) << fill;
    EXPECT_TRUE(same_bits(other.lse(), first.lse())) << fill;
    EXPECT_TRUE(same_bits(other.dq(), first.dq())) << fill;
    EXPECT_TRUE(same_bits(other.dk(), first.dk())) << fill;
    EXPECT_TRUE(same_bits(other.dv(), first.dv())) << fill;
    EXPECT_EQ(other.spilled(), 0u);
  }
}

template <class T>
void expect_no_future(const KernelTable& table) {
  [[maybe_unused]] const ActivationKernels<T>& kernels = activation_kernels<T>(table);
  constexpr std::size_t kLength = 150, kWidth = 20;
  for (const std::size_t now : {0, 5, 63, 64, 100}) {
    SCOPED_TRACE("row " + std::to_string(now));
    AttentionProblem problem = make_problem<T>(kLength, kWidth);
    Head<T> plain(problem);
    plain.run(table);
    for (std::size_t x = (now + 1) * kWidth; x < kLength * kWidth; ++x) {
      problem.k[x] = problem.k[x] * 1e3 + 1e4;  // would win every softmax
      problem.v[x] = 1e15;
      problem.dout[x] = 0.0;
    }
    Head<T> changed(problem);
    changed.run(table);
    Floats before = plain.out(), after = changed.out();
    before.resize((now + 1) * kWidth);
    after.resize((now + 1) * kWidth);
    EXPECT_TRUE(same_bits(before, after));
    for (const Floats& gradient : {changed.dk(), changed.dv()}) {
      for (std::size_t x = (now + 1) * kWidth; x < gradient.size(); ++x) {
        ASSERT_EQ(gradient[x], 0.0f) << "element " << x;
      }
    }
  }
}

class AttentionCut : public IsaTest {};

TEST_P(AttentionCut, RowsDoNotDependOnTheCut) {
  expect_rows_alone<float>(*table_);
  expect_rows_alone<Bf16>(*table_);
}

TEST_P(AttentionCut, ScratchAndAlignmentDoNotShow) {
  expect_clean_scratch<float>(*table_);
  expect_clean_scratch<Bf16>(*table_);
}

TEST_P(AttentionCut, TheFutureHasNoWeight) {
  expect_no_future<float>(*table_);
  expect_no_future<Bf16>(*table_);
}

CLLM_IN_EVERY_ISA(AttentionCut);

}  // namespace
}  // namespace cllm
