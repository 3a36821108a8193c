// Pure functions make the words of progress lines.
#pragma once

#include <cstdint>
#include <string>

#include "cllm/train_observer.h"

namespace cllm {

/// Returns "0:07", "12:34", "3:25:45", "2d 03:25"; "?" for a number that is negative or not finite.
std::string duration_text(double seconds);

/// Returns three digits and a letter: "812", "81.2k", "1.24M".
std::string rate_text(double per_second);

/// Returns a number below a thousand as it is, and others like rate_text: "812", "81.2k".
std::string count_text(std::int64_t count);

/// Returns one line about a step. Parts that do not fit in `columns` (0: no limit) are left out,
/// the least important first; step and loss stay.
std::string step_text(const StepReport& report, std::int64_t last_step, double elapsed_seconds,
                      double remaining_seconds, int columns);

/// Returns one line about an evaluation, with how many tokens it was made on.
std::string evaluation_text(const EvaluationReport& report);

/// Returns lines about a run that is over: the result, where its time went, and the model's folder
/// if there is one.
std::string end_text(const RunReport& report);

}  // namespace cllm
