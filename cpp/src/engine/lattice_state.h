// A LatticeState holds what is trained in place of a coupled model's token embedding, and makes
// that from it.
//
// The parameters hold the effective embedding E' where the model has its token embedding, so that
// passes, packing and model files read it like any other. E lies here, and the coefficients w at
// the end of the flat range. Likewise the shards leave dE' in a gradient; dE is here, and dw at the
// end of that gradient.
//
// Letters: V' vocabulary, C width, V symmetry order.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "lattice/coupling.h"
#include "model/layout.h"

namespace cllm {

class LatticeState {
 public:
  /// Makes a state of zeros for a model of this layout, which must have a lattice.
  LatticeState(const ModelConfig& model, const ParameterLayout& layout);
  /// These say how many bytes E and dE and what dw is summed from have, and how many the tables of
  /// neighbours.
  static std::size_t bytes_for(const ModelConfig& model);
  static std::size_t tables_bytes_for(const ModelConfig& model) noexcept {
    return Neighbours::bytes_for(model.vocabulary, model.symmetry_order);
  }

  /// Couples the model in `parameters`: E is its token embedding, and w is 0.
  void start(float* parameters) noexcept;

  /// Returns the tiles of fold() and unfold(), which depend on shapes only.
  std::int32_t tiles() const noexcept { return coupling_.tiles(); }
  /// Makes a tile of E' in `parameters`.
  void fold(std::int32_t tile, float* parameters, const KernelTable& kernels) const noexcept;
  /// Makes all of E' on the calling thread: the same bits.
  void fold(float* parameters, const KernelTable& kernels) const noexcept {
    for (std::int32_t tile = 0; tile < tiles(); ++tile) fold(tile, parameters, kernels);
  }
  /// Makes a tile of dE, and its part of dw, from dE' in `gradient`.
  void unfold(std::int32_t tile, const float* parameters, const float* gradient,
              const KernelTable& kernels) noexcept;
  /// Writes dw into `gradient`, when every tile is made.
  void sum_parts(float* gradient) const noexcept;

  /// Says whether a tensor is the token embedding.
  bool holds(std::int32_t tensor) const noexcept {
    return static_cast<std::size_t>(tensor) == tensor_;
  }
  /// These are E and dE [V', C].
  AlignedBuffer<float>& embedding() noexcept { return embedding_; }
  AlignedBuffer<float>& gradient() noexcept { return gradient_; }
  const AlignedBuffer<float>& embedding() const noexcept { return embedding_; }
  const AlignedBuffer<float>& gradient() const noexcept { return gradient_; }
  /// Returns where they begin in a flat range.
  std::int64_t offset() const noexcept { return offset_; }

 private:
  const Coupling coupling_;
  const std::int64_t offset_, w_;  // of E' and w
  const std::size_t tensor_;       // number of the token embedding
  AlignedBuffer<float> embedding_, gradient_;
  std::vector<double> parts_;  // [tiles, V] of dw
};

}  // namespace cllm
