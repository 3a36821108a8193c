#include "engine/step_news.h"

namespace cllm {
namespace {

constexpr std::int64_t kMany = 20;  // some of the first steps are always late

}  // namespace

bool ChoiceNews::is_due(const WorkerTuner& tuner, int most) {
  if (told_ || !tuner.settled() || tuner.trials().empty() || tuner.workers() >= most) return false;
  return told_ = true;
}

std::string late_steps_note(std::int64_t late, std::int64_t steps) {
  if (late < kMany || late * 20 <= steps) return "";
  return "the workers waited for data in " + std::to_string(late) + " of " + std::to_string(steps) +
         " steps";
}

}  // namespace cllm
