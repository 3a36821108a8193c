#include "model/rotary_table.h"

#include <cmath>

namespace cllm {
namespace {

constexpr double kTurn = 6.283185307179586;

/// Returns a frequency f as llama3 scales it: f above the band, f / factor below, a mixture inside.
float scaled(float f, const Llama3Scaling& s) {
  const auto factor = static_cast<float>(s.factor);
  const auto length = static_cast<double>(s.original);
  const float wave = static_cast<float>(kTurn) / f;  // the positions that one turn takes
  if (wave < static_cast<float>(length / s.high_frequency)) return f;
  if (wave > static_cast<float>(length / s.low_frequency)) return f / factor;
  const float turns = static_cast<float>(length) / wave - static_cast<float>(s.low_frequency);
  const float share = turns / static_cast<float>(s.high_frequency - s.low_frequency);
  return (1.0f - share) * f / factor + share * f;
}

}  // namespace

std::vector<float> rotary_frequencies(std::int64_t head_width, double theta,
                                      const Llama3Scaling* scaling) {
  std::vector<float> all;
  for (std::int64_t j = 0; j < head_width / 2; ++j) {
    const float power = static_cast<float>(2 * j) / static_cast<float>(head_width);
    const float f = 1.0f / static_cast<float>(std::pow(theta, static_cast<double>(power)));
    all.push_back(scaling == nullptr ? f : scaled(f, *scaling));
  }
  return all;
}

std::vector<float> rotary_frequencies(const ModelConfig& config) {
  return rotary_frequencies(config.head_width(), config.rope_theta,
                            config.rope_scaling ? &*config.rope_scaling : nullptr);
}

void fill_rotary_table(const std::vector<float>& frequencies, std::int64_t first,
                       std::int64_t positions, float* turns) {
  const std::size_t half = frequencies.size();
  for (std::int64_t p = first; p < first + positions; ++p, turns += 2 * half) {
    for (std::size_t j = 0; j < half; ++j) {
      // The angle is a float, as everywhere where such models are trained; its cosine is exact.
      const float angle = static_cast<float>(p) * frequencies[j];
      turns[j] = static_cast<float>(std::cos(static_cast<double>(angle)));
      turns[half + j] = static_cast<float>(std::sin(static_cast<double>(angle)));
    }
  }
}

}  // namespace cllm
