// This decides how long a run is, how its learning rate goes, and when it evaluates and saves: from
// the sizes of data and steps, never from time.
#pragma once

#include <cstdint>

#include "cllm/train_config.h"

namespace cllm {

/// Decides every "auto" among steps, learning_rate, min_learning_rate, warmup, eval_every,
/// eval_tokens and save_every. An epoch trains on `epoch_tokens` tokens. REQUIRES: the
/// configuration is checked and its sequence decided; epoch_tokens >= 1.
void decide_length(TrainConfig& config, std::int64_t epoch_tokens);

}  // namespace cllm
