#include "base/rng.h"

#include <cmath>

namespace cllm {

std::array<double, 2> normal_pair(const RandomBlock& block) noexcept {
  constexpr double kTwoPi = 6.283185307179586476925;
  // 1 - u lies in (0, 1], where the logarithm is finite.
  const double u = 1.0 - uniform_double(random_bits64(block, 0));
  const double radius = std::sqrt(-2.0 * std::log(u));
  const double angle = kTwoPi * uniform_double(random_bits64(block, 1));
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

}  // namespace cllm
