// The reference model has matrices in double and a few plain loops over them.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/token_rows.h"

namespace cllm {

/// Holds whole sequences of one length: tokens[sequences * length]. A target of -1 is not counted.
struct TokenBatch {
  std::int64_t sequences, length;
  std::vector<std::int32_t> inputs, targets;
  std::vector<std::int32_t> first_keys = {};  ///< the same; empty: each sequence is one document
  std::int64_t rows() const { return sequences * length; }
  std::int64_t counted() const { return count_targets(targets.data(), rows()); }
  /// Returns the row of its sequence where the document of row r begins.
  std::int64_t first_key(std::int64_t r) const {
    return first_keys.empty() ? 0 : first_keys[static_cast<std::size_t>(r)];
  }
  TokenRows all() const {
    return {inputs.data(), targets.data(), first_keys.empty() ? nullptr : first_keys.data()};
  }
};

using Doubles = std::vector<double>;  // row-major matrices, with shapes beside each use

/// Does c[m, n] += a[m, k] b[k, n].
inline void multiply_add(std::int64_t m, std::int64_t k, std::int64_t n, const double* a,
                         const double* b, double* c) {
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < k; ++j) {
      const double x = a[i * k + j];
      for (std::int64_t o = 0; o < n; ++o) c[i * n + o] += x * b[j * n + o];
    }
  }
}

/// Returns the transpose [columns, rows] of x[rows, columns].
inline Doubles transposed(std::int64_t rows, std::int64_t columns, const double* x) {
  Doubles out(static_cast<std::size_t>(rows * columns));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      out[static_cast<std::size_t>(c * rows + r)] = x[r * columns + c];
    }
  }
  return out;
}

constexpr double kGeluSlope = 0.7978845608028654;  // sqrt(2 / pi)
constexpr double kGeluCubic = 0.044715;

inline double reference_gelu(double x) {
  return 0.5 * x * (1 + std::tanh(kGeluSlope * (x + kGeluCubic * x * x * x)));
}

}  // namespace cllm
