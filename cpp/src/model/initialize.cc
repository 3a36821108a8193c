#include "model/initialize.h"

#include <cmath>

#include "base/rng.h"

namespace cllm {
namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

void initialize(const ModelConfig& config, const ParameterLayout& layout, std::uint64_t seed,
                float* parameters) {
  constexpr double kDeviation = 0.02;
  const double residual = kDeviation / std::sqrt(2.0 * static_cast<double>(config.layers));
  for (std::size_t t = 0; t < layout.tensors().size(); ++t) {
    const TensorEntry& tensor = layout.tensors()[t];
    float* out = parameters + tensor.offset;
    if (tensor.shape.size() < 2) {
      const float value = ends_with(tensor.name, ".weight") ? 1.0f : 0.0f;  // of a norm; a bias
      for (std::int64_t i = 0; i < tensor.size; ++i) out[i] = value;
      continue;
    }
    const double deviation = ends_with(tensor.name, "c_proj.weight") ? residual : kDeviation;
    for (std::int64_t i = 0; i < tensor.size; i += 2) {
      const auto pair =
          normal_pair(random_block(seed, RandomStream::kInitialWeights,
                                   static_cast<std::uint32_t>(t), static_cast<std::uint64_t>(i)));
      out[i] = static_cast<float>(deviation * pair[0]);
      if (i + 1 < tensor.size) out[i + 1] = static_cast<float>(deviation * pair[1]);
    }
  }
}

}  // namespace cllm
