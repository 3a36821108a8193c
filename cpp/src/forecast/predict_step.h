// predict_step() plays a step without arithmetic. The jobs and the rule of claiming are the step's
// own; tiles take the time that their kernels take alone.
#pragma once

#include "cllm/step_plan.h"
#include "engine/session.h"

namespace cllm {

/// Returns the rates for so many workers: measured ones, or values between two that were measured.
/// Beyond the ends they are those of the end.
MachineRates rates_for(const Machine& machine, std::int64_t workers);

/// Predicts a step. Throws InputError, which names `where`, when a time that it needs was not
/// measured.
StepForecast predict_step(const SessionConfig& config, const MachineRates& rates,
                          const std::string& where);

}  // namespace cllm
