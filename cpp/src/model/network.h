// A Network describes a decoder by its parts: embeddings, layers of attention and a hidden layer,
// each after a norm and added to the residual stream, a final norm, and a head. Each family has a
// file that describes it: gpt2/network.cc, llama/network.cc.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <vector>

#include "cllm/model_config.h"
#include "model/linear.h"
#include "model/tensor_table.h"

namespace cllm {

/// The linear maps of a layer are numbered in the order in which a row meets them.
enum class LinearSite : std::uint8_t { kQkv, kProjection, kHidden, kOutput };
constexpr std::size_t kLinearSites = 4;
constexpr std::size_t site_index(LinearSite site) noexcept {
  return static_cast<std::size_t>(site);
}

struct NetworkLayer {
  Norm norm1, norm2;
  std::array<Linear, kLinearSites> linears;
  std::optional<Norm> query_norm, key_norm = std::nullopt;  ///< [D], of each head before it turns
  const Linear& linear(LinearSite site) const noexcept { return linears[site_index(site)]; }
};

struct Network {
  Embedding token_embedding;
  std::optional<Embedding> position_embedding;  ///< null: q and k turn by their positions
  std::vector<NetworkLayer> layers;
  Norm final_norm;
  Linear head;  ///< its weight is the token embedding if the head is tied

  bool tied() const noexcept { return head.weight == token_embedding.weight; }
  /// Returns all linear maps: those of the layers in order, then the head.
  std::vector<Linear> linears() const;
};

/// Adds the model's tensors to `table`, in the order of Hugging Face's files, and returns what they
/// are for.
Network describe_network(const ModelConfig& config, TensorTable& table);
/// These do so for one family, and for Llama with its descendants.
Network describe_gpt2(const ModelConfig& config, TensorTable& table);
Network describe_llama(const ModelConfig& config, TensorTable& table);

}  // namespace cllm
