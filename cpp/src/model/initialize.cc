#include "model/initialize.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace cllm {
void initialize(const ModelConfig& config, const ParameterLayout& layout, std::uint64_t seed,
                float* parameters) {
  const double usual = config.initializer_range;
  const double residual = usual / std::sqrt(2.0 * static_cast<double>(config.layers));
  for (std::size_t t = 0; t < layout.tensors().size(); ++t) {
    const TensorEntry& tensor = layout.tensors()[t];
    float* out = parameters + tensor.offset;
    const Initialization how = tensor.initialization;
    if (how == Initialization::kOnes || how == Initialization::kZeros) {
      std::fill_n(out, tensor.size, how == Initialization::kOnes ? 1.0f : 0.0f);
      continue;
    }
    const double deviation = how == Initialization::kResidual ? residual : usual;
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
