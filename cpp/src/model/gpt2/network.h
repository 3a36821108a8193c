// A Network describes GPT-2 (Radford et al. 2019) by its parts: two embeddings, layers of attention
// and a hidden layer, each after a norm and added to the residual stream, a final norm, and the
// token embedding again as the head.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "cllm/model_config.h"
#include "model/linear.h"
#include "model/tensor_table.h"

namespace cllm {

/// The linear maps of a layer are numbered in the order in which a row meets them.
enum class LinearSite : std::uint8_t { kQkv, kProjection, kHidden, kOutput };
constexpr std::size_t kLinearSites = 4;

struct NetworkLayer {
  Norm norm1, norm2;
  std::array<Linear, kLinearSites> linears;
  const Linear& linear(LinearSite site) const noexcept {
    return linears[static_cast<std::size_t>(site)];
  }
};

struct Network {
  Embedding token_embedding, position_embedding;
  std::vector<NetworkLayer> layers;
  Norm final_norm;
  Linear head;  ///< its weight is the token embedding

  /// Returns all linear maps: those of the layers in order, then the head.
  std::vector<Linear> linears() const;
};

/// Adds the model's tensors to `table`, in the order of Hugging Face's files, and returns what they
/// are for.
Network describe_gpt2(const ModelConfig& config, TensorTable& table);

}  // namespace cllm
