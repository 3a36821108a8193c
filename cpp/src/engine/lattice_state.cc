#include "engine/lattice_state.h"

#include <algorithm>

namespace cllm {
namespace {

std::size_t embedding_floats(const ModelConfig& model) {
  return static_cast<std::size_t>(model.vocabulary * model.width);
}

std::size_t parts_of(const ModelConfig& model) {
  return static_cast<std::size_t>(Coupling::tiles_for(model.vocabulary, model.width)) *
         static_cast<std::size_t>(model.symmetry_order);
}

}  // namespace

LatticeState::LatticeState(const ModelConfig& model, const ParameterLayout& layout)
    : coupling_(model.vocabulary, model.width, model.symmetry_order),
      offset_(layout.token_embedding()),
      w_(layout.coupling()),
      tensor_(layout.token_tensor()),
      embedding_(embedding_floats(model)),
      gradient_(embedding_floats(model)),
      parts_(parts_of(model)) {}

std::size_t LatticeState::bytes_for(const ModelConfig& model) {
  return 2 * sizeof(float) * embedding_floats(model) + sizeof(double) * parts_of(model);
}

void LatticeState::start(float* parameters) noexcept {
  std::copy_n(parameters + offset_, embedding_.size(), embedding_.data());
  std::fill_n(parameters + w_, coupling_.neighbours().symmetry_order(), 0.0f);
}

void LatticeState::fold(std::int32_t tile, float* parameters,
                        const KernelTable& kernels) const noexcept {
  coupling_.fold(kernels, tile, embedding_.data(), parameters + w_, parameters + offset_);
}

void LatticeState::unfold(std::int32_t tile, const float* parameters, const float* gradient,
                          const KernelTable& kernels) noexcept {
  coupling_.unfold(kernels, tile, embedding_.data(), parameters + w_, gradient + offset_,
                   gradient_.data(),
                   parts_.data() + tile * coupling_.neighbours().symmetry_order());
}

void LatticeState::sum_parts(float* gradient) const noexcept {
  coupling_.sum_parts(parts_.data(), gradient + w_);
}

}  // namespace cllm
