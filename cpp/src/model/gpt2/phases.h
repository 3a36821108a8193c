// gpt2_phases() shows how a shard goes through GPT-2, forward and backward, phase by phase.
#pragma once

#include <vector>

#include "model/shard_program.h"

namespace cllm {

/// Returns the phases in an order in which one thread may run them. A product or a pass has one
/// phase for each range of rows, so that other rows need not wait for it.
std::vector<Phase> gpt2_phases(const ShardCuts& cuts, Pass pass);

}  // namespace cllm
