// The first lines of a run say what will happen.
#pragma once

#include <string>

#include "setup/run_plan.h"

namespace cllm {

/// Says in four lines what is trained on what, for how long, and what is saved where. With
/// --verbose more lines say how a step is computed: shards and positions, tree, kernels, memory.
std::string describe(const RunPlan& plan);

}  // namespace cllm
