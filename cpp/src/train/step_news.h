// What is worth a line while steps go by: said once, and only when it matters.
#pragma once

#include <cstdint>
#include <string>

#include "engine/worker_tuner.h"

namespace cllm {

/// When to tell how many workers are fastest. The first choice is told. A later one is told when it
/// is another count, has stood for kLasting steps, and makes steps at least kMargin times as fast
/// as the count told before: what is within the noise, or is taken back at once, interests nobody.
class ChoiceNews {
 public:
  static constexpr int kLasting = 200;
  static constexpr double kMargin = 1.25;

  /// To be asked after each step.
  bool is_due(const WorkerTuner& tuner);

 private:
  int told_ = 0;    // workers
  int choice_ = 0;  // the other count that may become news
  int stood_ = 0;   // steps that it was in use
};

/// What to say of steps for which the workers waited for data; "" unless they are many and more
/// than a twentieth of all.
std::string late_steps_note(std::int64_t late, std::int64_t steps);

}  // namespace cllm
