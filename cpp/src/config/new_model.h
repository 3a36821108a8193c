// A new model has the sizes that the options say, or those of a known model, by its name.
#pragma once

#include <string>
#include <vector>

#include "cllm/model_config.h"
#include "cllm/train_config.h"

namespace cllm {

/// Returns the names of known models, and "none".
std::vector<std::string> preset_names();

/// Returns the configuration with the preset's sizes in each field that is not given. A resumed run
/// has its sizes already. Doing it twice is doing it once.
TrainConfig with_preset(const TrainConfig& config);

/// Returns the model that --layers, --heads, --dim, --preset and similar options describe. Throws
/// InputError for an impossible one.
ModelConfig new_model(const TrainConfig& config, std::int64_t context, std::int64_t vocabulary);

/// Returns the rates of dropout of a family: only GPT-2 drops in more than one place.
DropoutRates dropout_of(Family family, double rate) noexcept;

}  // namespace cllm
