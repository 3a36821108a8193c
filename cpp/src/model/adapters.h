// Adapters of low rank stand beside the linear maps of a network whose weights are frozen (Hu et
// al. 2021).
//
// Files have q, k and v, or gate and up, as linear maps of their own, each with its own adapter. A
// network multiplies by them in one product, so its linear map has an adapter of several parts,
// whose A lie one below the other: one product makes what all of them read of x.
#pragma once

#include <string>
#include <vector>

#include "cllm/lora_config.h"
#include "model/layout.h"

namespace cllm {

/// Is a linear map as the model's files have it: some outputs of one in the network.
struct LinearPart {
  std::string name;  ///< of its weight, without ".weight"
  std::int64_t first, outputs;
};

/// Returns the parts of a linear map of a layer in the order of their outputs.
std::vector<LinearPart> parts_of(const Linear& linear, const TensorTable& weights);

/// Gives the linear maps that `lora` names their adapters, whose tensors it adds to `trainables`.
/// Throws the errors of check(lora, model, words).
void add_adapters(const LoraConfig& lora, const LoraNames& words, const TensorTable& weights,
                  Network& network, TensorTable& trainables);

/// Adds to `trainables` the weights that `lora` trains whole beside the adapters, and returns where
/// they lie. Throws the errors of check(lora, model, words).
std::vector<TrainedWeight> add_trained_weights(const LoraConfig& lora, const LoraNames& words,
                                               const TensorTable& weights, const Network& network,
                                               TensorTable& trainables);

/// Returns the names of those weights, without what stands before the last part; both of its names
/// where a token embedding is the head too.
std::vector<std::string> plain_modules(const ParameterLayout& layout);

/// Returns the targets that mean the same in other programs: the last part of each linear map's
/// name in place of "all-linear". REQUIRES: the layout has adapters.
std::vector<std::string> plain_targets(const ParameterLayout& layout);

/// Fills new adapters: A is uniform within 1 / sqrt(inputs), as PEFT has it, and B is 0. Each
/// number is a function of (seed, tensor, index in the tensor) alone. REQUIRES: the layout has
/// adapters; `adapters` is the flat range of its trainables, which are zero before.
void initialize_adapters(const ParameterLayout& layout, std::uint64_t seed, float* adapters);

/// Adds s B A to each weight that has an adapter, and takes the weights that were trained beside
/// adapters: then the weights alone are the model. Sums go in the order of ranks, in double.
void merge_adapters(const ParameterLayout& layout, const float* adapters, float* weights);

}  // namespace cllm
