#include "model/layout.h"

namespace cllm {

ParameterLayout::ParameterLayout(const ModelConfig& config, bool lattice)
    : config_(config),
      network_(describe_network(config, weights_)),
      attention_(config.layers * config.query_width()) {
  for (const Linear& linear : network_.linears()) multiplying_ += linear.size();
  if (lattice) weights_.add_coupling("lattice.w", config.symmetry_order);
}

std::size_t ParameterLayout::token_tensor() const noexcept {
  std::size_t tensor = 0;
  while (tensors()[tensor].offset != token_embedding()) ++tensor;
  return tensor;
}

std::int64_t ParameterLayout::flops_per_token(std::int64_t sequence) const noexcept {
  return 6 * multiplying_ + 6 * attention_ * sequence;
}

}  // namespace cllm
