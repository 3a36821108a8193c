// list_phases() makes the list of phases of a shard.
#pragma once

#include "model/shard_program.h"

namespace cllm {

/// Returns the phases in an order in which one thread may run them. A product or a pass has one
/// phase for each range of rows, so that other rows need not wait for it.
std::vector<Phase> list_phases(const ShardCuts& cuts, Pass pass);

}  // namespace cllm
