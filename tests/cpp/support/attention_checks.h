// Tests of attention compare a head with the answer in double precision and with its slopes.
#pragma once

#include <gtest/gtest.h>

#include <cmath>

#include "attention_head.h"
#include "dropout_reference.h"

namespace cllm {

/// Lets the problem drop weights, as head `head` of some layer.
inline void drop(AttentionProblem& problem, double rate, std::uint32_t head = 2) {
  Dropout& d = problem.dropout;
  d.key = 0x9876543210fedcbau + problem.length;
  d.place = 5;
  d.head = head;
  d.threshold = static_cast<std::uint32_t>(rate * 65536);
  d.scale = static_cast<float>(65536.0 / (65536.0 - d.threshold));
  problem.factors.clear();
  for (std::size_t i = 0; i < problem.length; ++i) {
    for (std::size_t j = 0; j < problem.length; ++j) {
      problem.factors.push_back(
          reference_factor(d, static_cast<std::int64_t>(i), static_cast<std::int64_t>(j)));
    }
  }
}

inline void expect_near(const char* what, const Floats& seen, const Doubles& wanted,
                        const Doubles& size, const AttentionAnswer& answer,
                        const AttentionProblem& problem) {
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

inline void expect_answer(const Head<float>& head, const AttentionAnswer& answer,
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

/// Compares with the largest of `scale`, which allows for rounding of what is stored, of weights
/// and of their gradients.
inline void expect_close(const char* what, const Floats& seen, const Doubles& wanted,
                         const Doubles& scale) {
  double most = 0, worst = 0;
  for (std::size_t x = 0; x < seen.size(); ++x) {
    most = std::max(most, std::fabs(scale[x]));
    const double error = std::fabs(static_cast<double>(seen[x]) - wanted[x]);
    if (!(error <= worst) && !std::isnan(worst)) worst = error;  // a NaN stays
  }
  EXPECT_LE(worst, 2e-2 * most) << what;
}

/// Checks the kernel's gradients at every stride-th element.
inline void expect_finite_differences(AttentionProblem problem, const KernelTable& table,
                                      std::size_t stride) {
  const AttentionAnswer answer = reference_attention(problem);
  Head<float> head(problem);
  head.run(table);
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
    for (std::size_t x = 0; x < problem.length * problem.width; x += stride) {
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

}  // namespace cllm
