// A ParameterLayout says where the numbers of a model lie: the weights that a forward pass reads,
// the trainables that training changes, and the network that they belong to.
//
// Each of both has a table of tensors in a flat range. Loops over gradient, moments, sums, owners
// and updates go over the trainables; passes, packing and files of models go over the weights.
// Training a whole model changes its weights, so that both are the same table. With adapters the
// weights are frozen, and the adapters are the trainables; embedding and head may be trained whole
// beside them, and then lie among them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cllm/lora_config.h"
#include "cllm/model_config.h"
#include "model/network.h"
#include "model/tensor_table.h"

namespace cllm {

/// Is a weight that is trained whole beside adapters.
struct TrainedWeight {
  std::int64_t weight;     ///< its offset
  std::int64_t trainable;  ///< and that among the trainables
};

/// Holds tensors and network. It is immutable after construction.
class ParameterLayout {
 public:
  /// Lays a model out; with `lattice`, the coefficients that couple its tokens come last; with
  /// `lora`, it has adapters. Throws InputError for adapters that it cannot have.
  explicit ParameterLayout(const ModelConfig& config, bool lattice = false,
                           const std::optional<LoraConfig>& lora = std::nullopt);

  const ModelConfig& config() const noexcept { return config_; }

  /// These list the weights, and count them without padding.
  const TensorTable& weights() const noexcept { return weights_; }
  const std::vector<TensorEntry>& tensors() const noexcept { return weights_.tensors(); }
  std::int64_t flat_size() const noexcept { return weights_.flat_size(); }
  std::int64_t parameters() const noexcept { return weights_.parameters(); }

  /// Lists what has gradient and moments.
  const TensorTable& trainables() const noexcept { return lora_ ? adapters_ : weights_; }
  /// Says whether adapters are trained, beside frozen weights.
  bool adapted() const noexcept { return lora_.has_value(); }
  /// Says what adapters there are; null: none.
  const std::optional<LoraConfig>& lora() const noexcept { return lora_; }
  /// Returns the part of their input that adapters do not see in training.
  double adapter_dropout() const noexcept { return lora_ ? lora_->dropout : 0; }
  /// Returns the place among the trainables of the weight at an offset; kAbsent if there is no such
  /// weight, or if it is frozen.
  std::int64_t trainable(std::int64_t weight) const noexcept {
    return lora_ ? among_adapters(weight) : weight;
  }
  bool trains(std::int64_t weight) const noexcept { return trainable(weight) != kAbsent; }
  /// Returns the place among the trainables of a weight that is trained beside adapters: passes
  /// read it there. kAbsent for any other weight.
  std::int64_t among_adapters(std::int64_t weight) const noexcept {
    for (const TrainedWeight& trained : beside_adapters_) {
      if (trained.weight == weight) return trained.trainable;
    }
    return kAbsent;
  }
  /// Returns where the floats of a weight lie, in the flat range of the weights or among adapters.
  const float* weight(std::int64_t offset, const float* parameters,
                      const float* adapters) const noexcept {
    const std::int64_t at = among_adapters(offset);
    return at == kAbsent ? parameters + offset : adapters + at;
  }
  /// Says whether anything is trained below a linear map, so that the gradient of its input is
  /// needed. The embeddings are below all.
  bool trains_below(std::int64_t layer, LinearSite site) const noexcept {
    return place_of(layer, site) > lowest_;
  }

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
  /// pairs are masked. The gradients that adapters leave out are not counted.
  std::int64_t flops_per_token(std::int64_t sequence) const noexcept;
  /// Returns those of them that are the head's, which may leave out tokens without a target.
  std::int64_t head_flops() const noexcept;

 private:
  /// Numbers the linear maps of the layers in the order in which a row meets them.
  static std::int64_t place_of(std::int64_t layer, LinearSite site) noexcept {
    return layer * static_cast<std::int64_t>(kLinearSites) + static_cast<std::int64_t>(site);
  }
  void find_lowest() noexcept;

  ModelConfig config_;
  TensorTable weights_;
  TensorTable adapters_;
  std::vector<TrainedWeight> beside_adapters_;
  Network network_;
  std::optional<LoraConfig> lora_;
  std::int64_t lowest_ =
      -1;  // place of the lowest linear map with an adapter; -1: embeddings train
};

}  // namespace cllm
