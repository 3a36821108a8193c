// A new model starts with the values that Hugging Face gives it.
#pragma once

#include "model/layout.h"

namespace cllm {

/// Fills `parameters`: weights and embeddings are normal with the config's deviation, norms are 1,
/// biases 0. The two projections of GPT-2 into the residual stream have this deviation over
/// sqrt(2 L) (Radford et al. 2019).
/// Each number is a function of (seed, tensor, index in the tensor) alone. `parameters` has
/// layout.flat_size() floats, which are zero before.
void initialize(const ModelConfig& config, const ParameterLayout& layout, std::uint64_t seed,
                float* parameters);

}  // namespace cllm
