#include "engine/step_news.h"

namespace cllm {
namespace {

constexpr std::int64_t kMany = 20;  // some of the first steps are always late

/// Returns the median that a number had when it was last tried; 0 when it was not.
double seconds_with(const WorkerTuner& tuner, int workers) {
  double seconds = 0;
  for (const WorkerTuner::Trial& trial : tuner.trials()) {
    if (trial.workers == workers) seconds = trial.seconds;
  }
  return seconds;
}

}  // namespace

bool ChoiceNews::is_due(const WorkerTuner& tuner) {
  if (!tuner.settled() || tuner.trials().empty()) return false;
  const int workers = tuner.workers();
  if (told_ == 0) {
    told_ = workers;
    return true;
  }
  if (workers != choice_) {
    choice_ = workers;
    stood_ = 0;
  }
  if (workers == told_ || ++stood_ < kLasting) return false;
  const double before = seconds_with(tuner, told_);
  if (before > 0 && before < kMargin * seconds_with(tuner, workers)) return false;
  told_ = workers;
  return true;
}

std::string late_steps_note(std::int64_t late, std::int64_t steps) {
  if (late < kMany || late * 20 <= steps) return "";
  return "the workers waited for data in " + std::to_string(late) + " of " + std::to_string(steps) +
         " steps";
}

}  // namespace cllm
