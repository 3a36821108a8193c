// Starting values as Hugging Face's GPT-2 has them.
#pragma once

#include "model/layout.h"

namespace cllm {

/// Weights and embeddings normal with deviation 0.02, the two projections into the residual stream
/// 0.02 / sqrt(2 L), norms 1, biases 0 (Radford et al. 2019). Each number is a function of
/// (seed, index in the flat range) alone. `parameters`: layout.flat_size() floats, zero before.
void initialize(const ModelConfig& config, const ParameterLayout& layout, std::uint64_t seed,
                float* parameters);

}  // namespace cllm
