// A ParameterLayout says where the weights of a model lie: its tensors in the flat range, and the
// network that reads them.
#pragma once

#include <cstdint>
#include <vector>

#include "cllm/model_config.h"
#include "model/network.h"
#include "model/tensor_table.h"

namespace cllm {

/// Holds tensors and network. It is immutable after construction.
class ParameterLayout {
 public:
  /// Lays a model out; with `lattice`, the coefficients that couple its tokens come last.
  explicit ParameterLayout(const ModelConfig& config, bool lattice = false);

  const std::vector<TensorEntry>& tensors() const noexcept { return table_.tensors(); }
  const std::vector<Block>& blocks() const noexcept { return table_.blocks(); }
  std::int64_t flat_size() const noexcept { return table_.flat_size(); }
  std::int64_t parameters() const noexcept { return table_.parameters(); }

  const Network& network() const noexcept { return network_; }
  const NetworkLayer& layer(std::int64_t l) const noexcept {
    return network_.layers[static_cast<std::size_t>(l)];
  }
  std::int64_t token_embedding() const noexcept { return network_.token_embedding.weight; }
  /// Returns the number of the tensor of the token embedding.
  std::size_t token_tensor() const noexcept;
  /// Returns kAbsent where q and k turn by their positions.
  std::int64_t position_embedding() const noexcept {
    return network_.position_embedding ? network_.position_embedding->weight : kAbsent;
  }
  /// Says whether tokens are coupled, and where the coefficients w[V] lie if they are.
  bool coupled() const noexcept { return tensors().back().coupling; }
  std::int64_t coupling() const noexcept { return tensors().back().offset; }
  const Norm& final_norm() const noexcept { return network_.final_norm; }

  /// Returns the floating-point operations of forward and backward for one token: 6 for each number
  /// of a weight that multiplies, with the head's, and 6 L Q T for attention, where half of the
  /// pairs are masked.
  std::int64_t flops_per_token(std::int64_t sequence) const noexcept;

 private:
  TensorTable table_;
  Network network_;
  std::int64_t multiplying_ = 0;  // numbers in the weights of all linear maps
  std::int64_t attention_ = 0;    // L Q, of the queries' width Q
};

}  // namespace cllm
