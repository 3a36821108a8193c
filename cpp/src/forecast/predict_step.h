// A step played through without arithmetic: the jobs and the rule of claiming are the step's own,
// tiles take the time that their kernels take alone.
#pragma once

#include "cllm/step_plan.h"
#include "engine/session.h"

namespace cllm {

/// The rates for so many workers: measured, or in between two that were. Beyond the ends they are
/// those of the end.
MachineRates rates_for(const Machine& machine, std::int64_t workers);

/// Throws InputError, naming `where`, when a time that it needs was not measured.
StepForecast predict_step(const SessionConfig& config, const MachineRates& rates,
                          const std::string& where);

}  // namespace cllm
