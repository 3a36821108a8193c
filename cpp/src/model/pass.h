// A Pass says what a shard goes through and what its forward pass keeps for the backward pass; a
// WeightLayout says how its products find their weights, and HeadRows which rows have logits.
#pragma once

#include <cstdint>

namespace cllm {

enum class Pass : std::uint8_t {
  kForward,      ///< no backward pass: every layer uses the same memory
  kTraining,     ///< forward and backward, all activations kept
  kRecomputing,  ///< the same, but a layer keeps only the residual stream that enters it, and the
                 ///< backward pass computes the rest again (Chen et al. 2016): the same bits
};

constexpr bool trains(Pass pass) noexcept { return pass != Pass::kForward; }

/// Says whether layers share the memory of what they would keep beside the residual stream.
constexpr bool shares_layers(Pass pass) noexcept { return pass != Pass::kTraining; }

/// Shards are cut in lower tiles if a tile need not pack its part of a weight.
enum class WeightLayout : std::uint8_t { kPlain, kPacked };

enum class HeadRows : std::uint8_t {
  kAll,
  kCounted,  ///< those whose target is counted, gathered first: cheaper where these are few
};

}  // namespace cllm
