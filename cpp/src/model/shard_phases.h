// The list of phases of a shard.
#pragma once

#include "model/shard_program.h"

namespace cllm {

/// In an order in which one thread may run them. What a product or a pass makes of a range of rows
/// is a phase, so that other rows need not wait for it.
std::vector<Phase> list_phases(const ShardCuts& cuts, Pass pass);

}  // namespace cllm
