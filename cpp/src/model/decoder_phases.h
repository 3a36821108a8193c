// decoder_phases() shows how a shard goes through a decoder, forward and backward, phase by phase.
// The families differ in what their operations compute; the few phases that only some of them have
// are marked here.
#pragma once

#include <vector>

#include "model/shard_program.h"

namespace cllm {

/// Returns the phases in an order in which one thread may run them. A product or a pass has one
/// phase for each range of rows, so that other rows need not wait for it.
std::vector<Phase> decoder_phases(const ShardCuts& cuts, Pass pass);

}  // namespace cllm
