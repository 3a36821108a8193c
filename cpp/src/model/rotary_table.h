// Rotary embeddings turn each pair (j, j + D/2) of a head by an angle that grows with the position
// (Su et al. 2021). A table holds the cosines and sines of all angles.
#pragma once

#include <cstdint>
#include <vector>

#include "cllm/model_config.h"

namespace cllm {

/// Returns the angles [D/2] by which pair j turns from one position to the next: theta^(-2j/D),
/// scaled unless `scaling` is null. They take the steps that transformers takes, in floats: at
/// position 8000 a difference in the last digit of a frequency is one of 5e-4 in the angle.
/// REQUIRES: D is even.
std::vector<float> rotary_frequencies(std::int64_t head_width, double theta,
                                      const Llama3Scaling* scaling);

/// Returns those of a model.
std::vector<float> rotary_frequencies(const ModelConfig& config);

/// Sets turns[positions, D] for the positions from `first` on: D/2 cosines, then D/2 sines, as
/// rotary_forward takes them.
void fill_rotary_table(const std::vector<float>& frequencies, std::int64_t first,
                       std::int64_t positions, float* turns);

}  // namespace cllm
