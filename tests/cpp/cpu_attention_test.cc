// Attention kernels of every ISA against double precision, finite differences, and themselves.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "attention_head.h"
#include "isa_test.h"

namespace cllm {
namespace {

void expect_near(const char* what, const Floats& seen, const Doubles& wanted, const Doubles& size,
                 const AttentionAnswer& answer, const AttentionProblem& problem) {
  std::size_t wrong = 0;
  for (std::size_t x = 0; x < seen.size(); ++x) {
    const double error = std::fabs(static_cast<double>(seen[x]) - wanted[x]);
    if (error <= attention_tolerance(answer, problem, size[x])) continue;  // false for NaN
    if (wrong++ == 0) {
      ADD_FAILURE() << what << "[" << x / problem.width << ", " << x % problem.width << "] is "
                    << seen[x] << ", wanted " << wanted[x] << " +- "
                    << attention_tolerance(answer, problem, size[x]);
    }
  }
  EXPECT_EQ(wrong, 0u) << what;
}

void expect_answer(const Head<float>& head, const AttentionAnswer& answer,
                   const AttentionProblem& problem) {
  expect_near("out", head.out(), answer.out, answer.out_size, answer, problem);
  expect_near("dq", head.dq(), answer.dq, answer.dq_size, answer, problem);
  expect_near("dk", head.dk(), answer.dk, answer.dk_size, answer, problem);
  expect_near("dv", head.dv(), answer.dv, answer.dv_size, answer, problem);
  const Floats lse = head.lse();
  for (std::size_t t = 0; t < lse.size(); ++t) {
    EXPECT_NEAR(static_cast<double>(lse[t]), answer.lse[t], answer.weight_error) << "row " << t;
  }
  EXPECT_EQ(head.spilled(), 0u);
}

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
    AttentionProblem problem = make_problem<float>(length, width);
    const AttentionAnswer answer = reference_attention(problem);
    Head<float> head(problem);
    head.run(*table_);
    struct Side {
      const char* name;
      Doubles& input;
      Floats gradient;
      const Doubles& size;
    };
    const Side sides[] = {{"dq", problem.q, head.dq(), answer.dq_size},
                          {"dk", problem.k, head.dk(), answer.dk_size},
                          {"dv", problem.v, head.dv(), answer.dv_size}};
    for (const Side& side : sides) {
      const std::size_t stride = std::max<std::size_t>(1, length * width / 37);
      for (std::size_t x = 0; x < length * width; x += stride) {
        constexpr double kStep = 1e-4;  // truncation and rounding both stay below 1e-7 of the terms
        const double value = side.input[x];
        side.input[x] = value + kStep;
        const double above = reference_loss(problem);
        side.input[x] = value - kStep;
        const double below = reference_loss(problem);
        side.input[x] = value;
        EXPECT_NEAR(static_cast<double>(side.gradient[x]), (above - below) / (2 * kStep),
                    attention_tolerance(answer, problem, side.size[x]) + 1e-7)
            << side.name << " element " << x;
      }
    }
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

/// Against the largest of `scale`: rounding of what is stored, of weights and their gradients.
void expect_close(const char* what, const Floats& seen, const Doubles& wanted,
                  const Doubles& scale) {
  double most = 0, worst = 0;
  for (std::size_t x = 0; x < seen.size(); ++x) {
    most = std::max(most, std::fabs(scale[x]));
    const double error = std::fabs(static_cast<double>(seen[x]) - wanted[x]);
    if (!(error <= worst) && !std::isnan(worst)) worst = error;  // a NaN stays
  }
  EXPECT_LE(worst, 2e-2 * most) << what;
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
