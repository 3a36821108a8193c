#include "engine/worker_tuner.h"

#include <algorithm>

namespace cllm {
namespace {

constexpr int kWarmingSteps = 2;  // first touch of memory, primitives
constexpr double kLong = 0.1;     // seconds; a step that is longer is hardly disturbed
constexpr double kShort = 1e-3;   // one turn of another program is much longer than such a step

/// Returns the number of steps for a median, by how long they are.
std::size_t steps_for(double seconds) { return seconds > kLong ? 3 : seconds > kShort ? 7 : 15; }
constexpr std::size_t kMostSteps = 15;

constexpr double kPlainly = 1.25;  // times as slow as the fastest
constexpr double kNoise = 0.02;
// The tuner starts again after this many times the steps of a choice: the first time, and later,
// when the steps of a choice cost at most a hundredth.
constexpr int kSoon = 16, kSeldom = 256;
constexpr int kMostPatience = 64;
constexpr std::size_t kMostTrials = 32;  // a million workers would need fewer

}  // namespace

WorkerTuner::WorkerTuner(int most) : most_(most), workers_(most), settled_(most <= 1) {
  times_.reserve(kMostSteps);
  trials_.reserve(kMostTrials);
  start(kWarmingSteps, kSoon);
}

void WorkerTuner::start(int warming, int rest) {
  steps_ = 0;
  rest_ = rest;
  trials_.clear();
  times_.clear();
  changed_ = 0;
  best_ = {0, 0};
  workers_ = most_;
  settled_ = most_ <= 1;
  warming_ = warming;
}

void WorkerTuner::took(double seconds) {
  if (most_ <= 1) return;
  ++steps_;
  if (settled_ && steps_ == next_start_) return start(1, kSeldom);
  if (warming_ > 0) {
    --warming_;
    return;
  }
  times_.insert(std::upper_bound(times_.begin(), times_.end(), seconds), seconds);
  if (settled_) {
    if (!has_changed()) return;
    patience_ = std::min(2 * patience_, kMostPatience);
    return start(1, kSoon);
  }
  if (!enough()) return;
  judge();
  try_next();
}

/// Says whether the last medians, enough of them, differ clearly from the time that decided the
/// choice.
bool WorkerTuner::has_changed() {
  if (times_.size() < steps_for(best_.seconds)) return false;
  const double median = times_[times_.size() / 2];
  times_.clear();
  const bool as_chosen = median <= kPlainly * best_.seconds && best_.seconds <= kPlainly * median;
  changed_ = as_chosen ? 0 : changed_ + 1;
  return changed_ >= patience_;
}

bool WorkerTuner::enough() const {
  const bool first = best_.workers == 0;
  // This is how long a step takes without disturbance, as far as known.
  const double seconds = first ? times_.front() : std::min(times_.front(), fastest_);
  if (times_.size() >= steps_for(seconds)) return true;
  if (first || times_.front() <= kPlainly * fastest_) return false;
  return seconds > kLong || (seconds > kShort && times_.size() >= 3);
}

void WorkerTuner::judge() {
  const Trial trial = {workers_, times_[times_.size() / 2]};
  times_.clear();
  trials_.push_back(trial);
  const bool better = trial.workers < best_.workers ? trial.seconds <= (1 + kNoise) * fastest_
                                                    : trial.seconds < (1 - kNoise) * best_.seconds;
  fastest_ = best_.workers == 0 ? trial.seconds : std::min(fastest_, trial.seconds);
  if (better || best_.workers == 0) best_ = trial;
}

void WorkerTuner::try_next() {
  const bool halving = best_.workers == trials_.back().workers &&
                       std::all_of(trials_.begin(), trials_.end(),
                                   [this](const Trial& t) { return t.workers >= best_.workers; });
  const int next = halving && best_.workers > 1 ? best_.workers / 2 : between();
  settled_ = next == 0;
  workers_ = settled_ ? best_.workers : next;
  // Threads wake or move first; a long step does not notice.
  warming_ = trials_.back().seconds > kLong ? 0 : 1;
  next_start_ = rest_ * steps_;
}

/// Returns a number half-way to the nearest one tried above or below the best; 0 when those are
/// near enough.
int WorkerTuner::between() const {
  int below = 0, above = 0;
  for (const Trial& t : trials_) {
    if (t.workers < best_.workers) below = std::max(below, t.workers);
    if (t.workers > best_.workers && (above == 0 || t.workers < above)) above = t.workers;
  }
  const int near = std::max(1, best_.workers / 4);
  if (above - best_.workers > near) return (best_.workers + above) / 2;
  if (below > 0 && best_.workers - below > near) return (best_.workers + below + 1) / 2;
  return 0;
}

}  // namespace cllm
