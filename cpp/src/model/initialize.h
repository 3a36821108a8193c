// A new model starts with the values that Hugging Face's GPT-2 has.
#pragma once

#include "model/layout.h"

namespace cllm {

/// Fills `parameters`: weights and embeddings are normal with deviation 0.02, the two projections
/// into the residual stream with 0.02 / sqrt(2 L), norms are 1, biases 0 (Radford et al. 2019).
/// Each number is a function of (seed, tensor, index in the tensor) alone. `parameters` has
/// layout.flat_size() floats, which are zero before.
void initialize(const ModelConfig& config, const ParameterLayout& layout, std::uint64_t seed,
                float* parameters);

}  // namespace cllm
