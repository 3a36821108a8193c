// The reference is causal attention of one head in double precision, as plain as possible, with a
// bound on how far single precision may be from it.
#pragma once

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu/dropout.h"

namespace cllm {

using Doubles = std::vector<double>;

/// Holds the inputs of a head: q, k, v and the gradient of out, each [T, D].
struct AttentionProblem {
  std::size_t length, width;
  Doubles q, k, v, dout;
  Doubles factors = {};  ///< [T, T] what dropout multiplies the weights by; empty: 1
  Dropout dropout = {};  ///< the same in the form that a kernel takes
  std::vector<std::int32_t> first_keys = {};  ///< [T] the first that each row sees; empty: 0

  double factor(std::size_t i, std::size_t j) const {
    return factors.empty() ? 1.0 : factors[i * length + j];
  }
  std::size_t first_key(std::size_t i) const {
    return first_keys.empty() ? 0 : static_cast<std::size_t>(first_keys[i]);
  }
};

/// Holds the results, and beside each value the sum of the absolute values of its terms.
struct AttentionAnswer {
  Doubles out, dq, dk, dv;                      ///< [T, D]
  Doubles out_size, dq_size, dk_size, dv_size;  ///< [T, D]
  Doubles lse;                                  ///< [T]
  double weight_error;  ///< bound on the relative error of a softmax weight in single precision
};

/// Computes out[T, D] and lse[T]; weights, when given, receives P[T, T].
inline void reference_forward(const AttentionProblem& problem, Doubles& out, Doubles& lse,
                              Doubles* weights = nullptr) {
  const std::size_t length = problem.length, width = problem.width;
  const double scale = 1.0 / std::sqrt(static_cast<double>(width));
  out.assign(length * width, 0.0);
  lse.assign(length, 0.0);
  Doubles p(length);
  for (std::size_t i = 0; i < length; ++i) {
    double largest = -HUGE_VAL;
    for (std::size_t j = problem.first_key(i); j <= i; ++j) {
      p[j] = 0.0;
      for (std::size_t d = 0; d < width; ++d) {
        p[j] += problem.q[i * width + d] * problem.k[j * width + d] * scale;
      }
      largest = std::max(largest, p[j]);
    }
    double sum = 0.0;
    for (std::size_t j = problem.first_key(i); j <= i; ++j) sum += p[j] = std::exp(p[j] - largest);
    lse[i] = largest + std::log(sum);
    for (std::size_t j = problem.first_key(i); j <= i; ++j) {
      p[j] /= sum;
      if (weights != nullptr) (*weights)[i * length + j] = p[j];
      const double weight = p[j] * problem.factor(i, j);
      for (std::size_t d = 0; d < width; ++d) {
        out[i * width + d] += weight * problem.v[j * width + d];
      }
    }
  }
}

/// Returns the sum over out * dout; backward computes its gradient.
inline double reference_loss(const AttentionProblem& problem) {
  Doubles out, lse;
  reference_forward(problem, out, lse);
  double loss = 0.0;
  for (std::size_t x = 0; x < out.size(); ++x) loss += out[x] * problem.dout[x];
  return loss;
}

inline AttentionAnswer reference_attention(const AttentionProblem& problem) {
  const std::size_t length = problem.length, width = problem.width, size = length * width;
  const double scale = 1.0 / std::sqrt(static_cast<double>(width));
  AttentionAnswer answer;
  Doubles p(length * length, 0.0);
  reference_forward(problem, answer.out, answer.lse, &p);
  for (Doubles* matrix : {&answer.dq, &answer.dk, &answer.dv, &answer.out_size, &answer.dq_size,
                          &answer.dk_size, &answer.dv_size}) {
    matrix->assign(size, 0.0);
  }
  double largest_score = 0.0, largest_lse = 0.0;
  for (std::size_t i = 0; i < length; ++i) {
    const double* const q = &problem.q[i * width];
    const double* const dout = &problem.dout[i * width];
    double delta = 0.0, delta_size = 0.0;
    for (std::size_t d = 0; d < width; ++d) {
      delta += answer.out[i * width + d] * dout[d];
      delta_size += std::fabs(answer.out[i * width + d] * dout[d]);
    }
    for (std::size_t j = problem.first_key(i); j <= i; ++j) {
      const double* const k = &problem.k[j * width];
      const double* const v = &problem.v[j * width];
      const double factor = problem.factor(i, j), weight = p[i * length + j];
      const double kept = weight * factor;
      double dp = 0.0, dp_size = 0.0, score_size = 0.0;
      for (std::size_t d = 0; d < width; ++d) {
        dp += factor * dout[d] * v[d];
        dp_size += factor * std::fabs(dout[d] * v[d]);
        score_size += std::fabs(q[d] * k[d]) * scale;
      }
      largest_score = std::max(largest_score, score_size);
      const double ds = weight * (dp - delta) * scale;
      const double ds_size = weight * (dp_size + delta_size) * scale;
      for (std::size_t d = 0; d < width; ++d) {
        answer.dq[i * width + d] += ds * k[d];
        answer.dk[j * width + d] += ds * q[d];
        answer.dv[j * width + d] += kept * dout[d];
        answer.out_size[i * width + d] += kept * std::fabs(v[d]);
        answer.dq_size[i * width + d] += ds_size * std::fabs(k[d]);
        answer.dk_size[j * width + d] += ds_size * std::fabs(q[d]);
        answer.dv_size[j * width + d] += kept * std::fabs(dout[d]);
      }
    }
    largest_lse = std::max(largest_lse, std::fabs(answer.lse[i]));
  }
  // A score is a chain of D roundings. The sum of T weights, exp (2e-7) and the log-sum-exp, which
  // is itself rounded, add theirs.
  const double terms = static_cast<double>(width + 4) * largest_score + largest_lse +
                       static_cast<double>(length) + 16.0;
  answer.weight_error = FLT_EPSILON * terms;
  return answer;
}

/// Returns how far single precision may be from a value whose terms have `size` in sum: a chain of
/// at most T + D roundings over weights that have errors too, and numbers below the smallest float.
inline double attention_tolerance(const AttentionAnswer& answer, const AttentionProblem& problem,
                                  double size) {
  const double chain = FLT_EPSILON * static_cast<double>(problem.length + problem.width + 8);
  return 2.0 * (answer.weight_error + chain) * size + 1e-36;
}

}  // namespace cllm
