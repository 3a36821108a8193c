// What a shard goes through, what its forward pass leaves for the way back, and how its products
// find their weights.
#pragma once

#include <cstdint>

namespace cllm {

enum class Pass : std::uint8_t {
  kForward,      ///< no way back: every layer uses the same memory
  kTraining,     ///< forward and backward, all activations kept
  kRecomputing,  ///< the same, but a layer keeps the residual stream that enters it and makes the
                 ///< rest again on the way back (Chen et al. 2016): the same bits
};

constexpr bool trains(Pass pass) noexcept { return pass != Pass::kForward; }

/// Whether layers share the memory of what they would keep beside the residual stream.
constexpr bool shares_layers(Pass pass) noexcept { return pass != Pass::kTraining; }

/// Shards are cut lower where a tile need not pack its part of a weight.
enum class WeightLayout : std::uint8_t { kPlain, kPacked };

}  // namespace cllm
