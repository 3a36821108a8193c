// The parts that other models have than GPT-2 as it was published, in double and from their
// definitions. Their derivatives are written out, so that a whole model can be made of them.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace cllm {

/// One row of an RMS norm: 1 / sqrt(mean of x^2 + epsilon), and the normalised row.
struct RmsNormRow {
  RmsNormRow(const double* x, std::int64_t width, double epsilon) {
    double mean = 0.0;
    for (std::int64_t i = 0; i < width; ++i) mean += x[i] * x[i] / static_cast<double>(width);
    rstd = 1.0 / std::sqrt(mean + epsilon);
    for (std::int64_t i = 0; i < width; ++i) normed.push_back(x[i] * rstd);
  }
  /// Returns the gradient of x. `d`[width] is that of the normalised row.
  std::vector<double> backward(const std::vector<double>& d) const {
    double mean_dn = 0.0;
    for (std::size_t i = 0; i < d.size(); ++i) {
      mean_dn += d[i] * normed[i] / static_cast<double>(d.size());
    }
    std::vector<double> dx;
    for (std::size_t i = 0; i < d.size(); ++i) dx.push_back(rstd * (d[i] - normed[i] * mean_dn));
    return dx;
  }
  double rstd;
  std::vector<double> normed;
};

/// Turns the pairs (x[j], x[j + D/2]) of a head x[D] by angles[D/2]. A gradient is turned by the
/// opposite angles.
inline void turn_head(const std::vector<double>& angles, double* x) {
  const std::size_t half = angles.size();
  for (std::size_t j = 0; j < half; ++j) {
    const double a = x[j], b = x[half + j], c = std::cos(angles[j]), s = std::sin(angles[j]);
    x[j] = a * c - b * s;
    x[half + j] = b * c + a * s;
  }
}

constexpr double kRootOfTwoPi = 2.5066282746310002;

/// GELU as it is defined: x times the share of the normal distribution below x.
inline double gelu_erf(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }
inline double gelu_erf_slope(double x) {
  return 0.5 * std::erfc(-x / std::sqrt(2.0)) + x * std::exp(-0.5 * x * x) / kRootOfTwoPi;
}

inline double silu(double x) { return x / (1.0 + std::exp(-x)); }
inline double silu_slope(double x) {
  const double share = 1.0 / (1.0 + std::exp(-x));
  return share * (1.0 + x * (1.0 - share));
}

inline double relu(double x) { return x > 0.0 ? x : 0.0; }
inline double relu_slope(double x) { return x > 0.0 ? 1.0 : 0.0; }

}  // namespace cllm
