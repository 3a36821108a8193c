// The options of adapters become a LoraConfig, and the other way round.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cllm/lora_config.h"
#include "cllm/train_config.h"

namespace cllm {

/// Returns the adapters that the options describe; null if there are none. REQUIRES: the
/// configuration is checked.
std::optional<LoraConfig> lora_of(const TrainConfig& config);

/// Makes the options say what an adapter is that training starts from. Dropout is the run's own.
void take_adapter(TrainConfig& config, const LoraConfig& lora);

/// Returns what errors about a LoraConfig of options call its fields.
LoraNames lora_option_names();

}  // namespace cllm
