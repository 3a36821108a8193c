// ineffective_options() names the options that were given and change nothing, so that no user waits
// for their effect.
#pragma once

#include <string>
#include <vector>

#include "setup/run_plan.h"

namespace cllm {

/// Returns a sentence for each option of `asked` that has no effect in the run that was made from
/// it, or another effect than its user must have meant. Returns none for a resumed run, whose user
/// was told when it was new.
std::vector<std::string> ineffective_options(const TrainConfig& asked, const RunPlan& plan);

}  // namespace cllm
