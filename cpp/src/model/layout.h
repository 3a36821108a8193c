// A ParameterLayout says where the numbers of a model lie: the weights that a forward pass reads,
// the trainables that training changes, and the network that they belong to.
//
// Each of both has a table of tensors in a flat range. Loops over gradient, moments, sums, owners
// and updates go over the trainables; passes, packing and files of models go over the weights.
// Training a whole model changes its weights, so that both are the same table.
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

  const ModelConfig& config() const noexcept { return config_; }

  /// These list the weights, and count them without padding.
  const TensorTable& weights() const noexcept { return weights_; }
  const std::vector<TensorEntry>& tensors() const noexcept { return weights_.tensors(); }
  std::int64_t flat_size() const noexcept { return weights_.flat_size(); }
  std::int64_t parameters() const noexcept { return weights_.parameters(); }

  /// Lists what has gradient and moments.
  const TensorTable& trainables() const noexcept { return weights_; }
  /// Returns the place among the trainables of the weight at an offset; kAbsent if there is no such
  /// weight, or if it is frozen.
  std::int64_t trainable(std::int64_t weight) const noexcept { return weight; }

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
  ModelConfig config_;
  TensorTable weights_;
  Network network_;
  std::int64_t multiplying_ = 0;  // numbers in the weights of all linear maps
  std::int64_t attention_ = 0;    // L Q, of the queries' width Q
};

}  // namespace cllm
