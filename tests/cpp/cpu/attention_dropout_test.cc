// Attention with dropout of every ISA is compared with double precision, with the same elements
// dropped.
#include <gtest/gtest.h>

#include <string>

#include "attention_checks.h"
#include "isa_test.h"

namespace cllm {
namespace {

bool same_bits(const Floats& a, const Floats& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class AttentionDropout : public IsaTest {};

TEST_P(AttentionDropout, IsWhatDoublePrecisionSays) {
  for (const double rate : {0.1, 0.6}) {
    for (const std::size_t length : {1, 2, 7, 63, 64, 65, 130, 200}) {
      for (const std::size_t width : {1, 12, 32, 33, 64}) {
        SCOPED_TRACE("T " + std::to_string(length) + ", D " + std::to_string(width));
        AttentionProblem problem = make_problem<float>(length, width);
        drop(problem, rate);
        Head<float> head(problem);
        head.run(*table_);
        expect_answer(head, reference_attention(problem), problem);
      }
    }
  }
}

TEST_P(AttentionDropout, OfBf16IsNear) {
  for (const std::size_t length : {64, 65, 130}) {
    for (const std::size_t width : {12, 15, 64}) {
      SCOPED_TRACE("T " + std::to_string(length) + ", D " + std::to_string(width));
      AttentionProblem problem = make_problem<Bf16>(length, width);
      drop(problem, 0.2);
      const AttentionAnswer answer = reference_attention(problem);
      Head<Bf16> head(problem);
      head.run(*table_);
      expect_close("out", head.out(), answer.out, answer.out);
      expect_close("dq", head.dq(), answer.dq, answer.dq);
      expect_close("dk", head.dk(), answer.dk, answer.dk);
      expect_close("dv", head.dv(), answer.dv, answer.dv);
      EXPECT_EQ(head.spilled(), 0u);
    }
  }
}

TEST_P(AttentionDropout, GradientsAreFiniteDifferences) {
  AttentionProblem problem = make_problem<float>(70, 12);
  drop(problem, 0.3);
  expect_finite_differences(problem, *table_, 23);
}

TEST_P(AttentionDropout, RowsDoNotDependOnTheCut) {
  AttentionProblem problem = make_problem<float>(200, 20);
  drop(problem, 0.2);
  Head<float> whole(problem), blocks(problem);
  table_->attention_forward(whole.arguments(*table_));
  for (const std::int64_t begin : {128, 0, 64, 192}) {
    AttentionArgs<float> args = blocks.arguments(*table_);
    args.row_begin = begin;
    args.row_end = std::min<std::int64_t>(begin + 64, 200);
    table_->attention_forward(args);
  }
  EXPECT_TRUE(same_bits(blocks.out(), whole.out()));
}

TEST_P(AttentionDropout, OfNothingIsNoDropout) {
  AttentionProblem problem = make_problem<float>(130, 20);
  Head<float> plain(problem);
  plain.run(*table_);
  drop(problem, 0.0);
  Head<float> none(problem);
  none.run(*table_);
  EXPECT_TRUE(same_bits(none.out(), plain.out()));
  EXPECT_TRUE(same_bits(none.dq(), plain.dq()));
  EXPECT_TRUE(same_bits(none.dv(), plain.dv()));
  drop(problem, 0.1);
  Head<float> some(problem);
  some.run(*table_);
  EXPECT_FALSE(same_bits(some.out(), plain.out()));
  EXPECT_TRUE(same_bits(some.lse(), plain.lse())) << "softmax knows nothing of it";
  drop(problem, 0.1, 3);
  Head<float> other(problem);
  other.run(*table_);
  EXPECT_FALSE(same_bits(other.out(), some.out())) << "another head drops others";
}

CLLM_IN_EVERY_ISA(AttentionDropout);

}  // namespace
}  // namespace cllm
