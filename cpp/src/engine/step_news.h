// These decide what is worth a line during the steps. Each thing is said once, and only when it
// matters.
#pragma once

#include <cstdint>
#include <string>

#include "engine/worker_tuner.h"

namespace cllm {

/// Decides when to tell the user how many workers compute: once, when for the first time some of
/// them sleep. That all compute is what everyone expects, and later choices go to and fro with the
/// noise; metrics.jsonl has the number of each step.
class ChoiceNews {
 public:
  /// Says whether to tell the choice now; `most` are there. Call it after each step.
  bool is_due(const WorkerTuner& tuner, int most);

 private:
  bool told_ = false;
};

/// Returns a sentence about steps for which the workers waited for data; "" unless they are many
/// and more than a twentieth of all.
std::string late_steps_note(std::int64_t late, std::int64_t steps);

}  // namespace cllm
