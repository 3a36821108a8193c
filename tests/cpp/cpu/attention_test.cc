// Attention kernels of every ISA are compared with double precision, finite differences, and
// themselves.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "attention_checks.h"
#include "isa_test.h"

namespace cllm {
namespace {

class Attention : public IsaTest {};

TEST_P(Attention, IsWhatDoublePrecisionSays) {
  for (const std::size_t length : {1, 2, 7, 48, 63, 64, 65, 100, 130, 256}) {
    for (const std::size_t width : {1, 12, 16, 20, 32, 33, 60, 64, 80}) {
      SCOPED_TRACE("T " + std::to_string(length) + ", D " + std::to_string(width));
      const AttentionProblem problem = make_problem<float>(length, width);
      Head<float> head(problem);
      head.run(*table_);
      expect_answer(head, reference_attention(problem), problem);
    }
  }
}

TEST_P(Attention, GradientsAreFiniteDifferences) {
  const std::size_t shapes[][2] = {{1, 5}, {2, 12}, {7, 20}, {65, 12}, {70, 33}};
  for (const auto& [length, width] : shapes) {
    SCOPED_TRACE("T " + std::to_string(length) + ", D " + std::to_string(width));
    expect_finite_differences(make_problem<float>(length, width), *table_,
                              std::max<std::size_t>(1, length * width / 37));
  }
}

TEST_P(Attention, LargeScoresStayFiniteAndRight) {
  for (const std::size_t length : {7, 64, 130}) {
    for (const std::size_t width : {12, 64}) {
      SCOPED_TRACE("T " + std::to_string(length) + ", D " + std::to_string(width));
      const AttentionProblem problem = make_problem<float>(length, width, 300.0);
      const AttentionAnswer answer = reference_attention(problem);
      ASSERT_GT(*std::max_element(answer.lse.begin(), answer.lse.end()), 300.0);
      Head<float> head(problem);
      head.run(*table_);
      expect_answer(head, answer, problem);
    }
  }
}

TEST_P(Attention, OfBf16IsNearWhatDoublePrecisionSays) {
  for (const std::size_t length : {2, 7, 48, 63, 64, 65, 100, 130, 257}) {
    for (const std::size_t width : {12, 15, 16, 20, 32, 33, 61, 64, 80}) {
      SCOPED_TRACE("T " + std::to_string(length) + ", D " + std::to_string(width));
      const AttentionProblem problem = make_problem<Bf16>(length, width);
      const AttentionAnswer answer = reference_attention(problem);
      Head<Bf16> head(problem);
      head.run(*table_);
      // With two keys a gradient may be what is left of two terms that cancel: measure by these.
      const bool few = length < 7;
      expect_close("out", head.out(), answer.out, answer.out);
      expect_close("dq", head.dq(), answer.dq, few ? answer.dq_size : answer.dq);
      expect_close("dk", head.dk(), answer.dk, few ? answer.dk_size : answer.dk);
      expect_close("dv", head.dv(), answer.dv, answer.dv);
      const Floats lse = head.lse();  // products of exact inputs, added in float
      for (std::size_t t = 0; t < lse.size(); ++t) {
        EXPECT_NEAR(static_cast<double>(lse[t]), answer.lse[t], answer.weight_error) << "row " << t;
      }
      EXPECT_EQ(head.spilled(), 0u);
    }
  }
}

TEST_P(Attention, OfOneTokenIsItsValue) {
  const AttentionProblem problem = make_problem<Bf16>(1, 33);
  Head<Bf16> head(problem);
  head.run(*table_);
  for (std::size_t x = 0; x < 33; ++x) {
    EXPECT_EQ(static_cast<double>(head.out()[x]), problem.v[x]);
    EXPECT_EQ(static_cast<double>(head.dv()[x]), problem.dout[x]);
    EXPECT_NEAR(head.dq()[x], 0.0f, 1e-5f);
    EXPECT_NEAR(head.dk()[x], 0.0f, 1e-5f);
  }
}

CLLM_IN_EVERY_ISA(Attention);

}  // namespace
}  // namespace cllm
