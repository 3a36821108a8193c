// Options that were given and change nothing, so that nobody waits for what they were to do.
#pragma once

#include <string>
#include <vector>

#include "train/run_plan.h"

namespace cllm {

/// A sentence for each option of `asked` that has no effect in the run that was made of it, or not
/// the one that its user must have meant. None for a resumed run, which was told when it was new.
std::vector<std::string> ineffective_options(const TrainConfig& asked, const RunPlan& plan);

}  // namespace cllm
