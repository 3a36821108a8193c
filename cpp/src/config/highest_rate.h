// The highest learning rate has a default that depends on where the weights come from.
#pragma once

#include "cllm/train_config.h"

namespace cllm {

/// Returns lr, or what "auto" makes of it. A model that is given has learned, and forgets at the
/// rate at which a new one learns; adapters begin at nothing beside weights that stay.
inline double highest_rate(const TrainConfig& config) noexcept {
  if (config.learning_rate >= 0) return config.learning_rate;
  if (config.lora) return 2e-4;
  return config.init.empty() ? 1e-3 : 1e-4;
}

}  // namespace cllm
