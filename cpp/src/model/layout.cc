#include "model/layout.h"

#include "base/refuse.h"
#include "model/adapters.h"

namespace cllm {

ParameterLayout::ParameterLayout(const ModelConfig& config, bool lattice,
                                 const std::optional<LoraConfig>& lora)
    : config_(config), network_(describe_network(config, weights_)), lora_(lora) {
  if (lattice) weights_.add_coupling("lattice.w", config.symmetry_order);
  if (!lora) return;
  if (lattice) {
    refuse("tokens are not coupled beside adapters", "both", "one of them", "lattice");
  }
  add_adapters(*lora, {}, weights_, network_, adapters_);
  beside_adapters_ = add_trained_weights(*lora, {}, weights_, network_, adapters_);
  find_lowest();
}

void ParameterLayout::find_lowest() noexcept {
  if (trains(token_embedding())) return;
  lowest_ = place_of(config_.layers, LinearSite::kQkv);
  for (std::int64_t l = config_.layers; l-- > 0;) {
    for (std::size_t i = kLinearSites; i-- > 0;) {
      if (layer(l).linears[i].adapter.exists()) lowest_ = place_of(l, static_cast<LinearSite>(i));
    }
  }
}

std::size_t ParameterLayout::token_tensor() const noexcept {
  std::size_t tensor = 0;
  while (tensors()[tensor].offset != token_embedding()) ++tensor;
  return tensor;
}

std::int64_t ParameterLayout::flops_per_token(std::int64_t sequence) const noexcept {
  std::int64_t numbers = 0, attentions = 0;
  for (std::int64_t l = 0; l < config_.layers; ++l) {
    for (std::size_t i = 0; i < kLinearSites; ++i) {
      const Linear& linear = layer(l).linears[i];
      const int below = trains_below(l, static_cast<LinearSite>(i)) ? 1 : 0;
      numbers += (1 + below + (trains(linear.weight) ? 1 : 0)) * linear.size();
      numbers += (2 + below) * linear.adapter.width() * linear.inputs;
      for (const AdapterPart& part : linear.adapter.parts) {
        numbers += 3 * part.outputs * linear.adapter.rank;
      }
    }
    attentions += trains_below(l, LinearSite::kProjection) ? 3 : 1;
  }
  return head_flops() + 2 * numbers + 2 * attentions * config_.query_width() * sequence;
}

std::int64_t ParameterLayout::head_flops() const noexcept {
  const Linear& head = network_.head;
  return 2 * (trains(head.weight) ? 3 : 2) * head.size();
}

}  // namespace cllm
