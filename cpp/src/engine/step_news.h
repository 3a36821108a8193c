// These decide what is worth a line during the steps. Each thing is said once, and only when it
// matters.
#pragma once

#include <cstdint>
#include <string>

#include "engine/worker_tuner.h"

namespace cllm {

/// Decides when to tell the user how many workers are fastest. The first choice is told. A later
/// one is told when it is another number, has lasted for kLasting steps, and makes steps at least
/// kMargin times as fast as the number told before. A change that is within the noise, or does not
/// last, is not worth a line.
class ChoiceNews {
 public:
  static constexpr int kLasting = 200;
  static constexpr double kMargin = 1.25;

  /// Says whether to tell the choice now. Call it after each step.
  bool is_due(const WorkerTuner& tuner);

 private:
  int told_ = 0;    // workers
  int choice_ = 0;  // the other number that may be told
  int stood_ = 0;   // steps during which it was in use
};

/// Returns a sentence about steps for which the workers waited for data; "" unless they are many
/// and more than a twentieth of all.
std::string late_steps_note(std::int64_t late, std::int64_t steps);

}  // namespace cllm
