#include "setup/run_length.h"

#include <algorithm>
#include <cmath>

#include "config/highest_rate.h"

namespace cllm {
namespace {

constexpr std::int64_t kPauses = 8;  // evaluations, and checkpoints, of a run

// A forward pass takes a third of the arithmetic of a training step, which also goes back twice.
constexpr double kForwardCost = 1.0 / 3;
constexpr double kEvaluationShare = 0.05;
// Fewer tokens say nothing: the loss of so many is within some hundredths of the whole part's.
constexpr double kLeastEvaluation = 1024;

std::int64_t divided_up(std::int64_t n, std::int64_t by) { return n / by + (n % by > 0 ? 1 : 0); }

double step_tokens(const TrainConfig& c) {
  return static_cast<double>(c.batch * c.grad_accum * c.sequence);
}

std::int64_t decide_steps(const TrainConfig& c, std::int64_t epoch_tokens) {
  const double epoch = static_cast<double>(epoch_tokens) / step_tokens(c);
  if (c.epochs > 0) {
    return std::max<std::int64_t>(1, std::llround(std::ceil(c.epochs * epoch)));
  }
  // 2000 steps suit a megabyte; a model has memorised a short text well before 200 passes.
  return static_cast<std::int64_t>(std::clamp(200 * epoch, 200.0, 2000.0));
}

/// A new model's first updates all go the same way. When they are large, what reaches a layer norm
/// passes near zero, and the loss of one step jumps: at a rate of 0.002 from 3.8 to 6.9 in step 9
/// of 20 with a warmup of 2, and by 1.2 in 60 steps with one of 6. With half of the steps it jumps
/// by 0.4 and 0.2, and ends lower: at 0.001 by 0.003 in 20 steps and by 0.036 in 60. A warmup of 40
/// is as good as 20 in 200 steps at 0.001, and better by 0.017 at 0.002 (tiny Shakespeare).
std::int64_t decide_warmup(std::int64_t steps) {
  return std::min(steps / 2, std::clamp<std::int64_t>(steps / 10, 40, 100));
}

/// Returns whole windows for which all evaluations of the run together cost at most
/// kEvaluationShare of its training, but kLeastEvaluation tokens at least. Counting tokens is as
/// good as counting time, and unlike time it is the same on every machine.
std::int64_t affordable_tokens(const TrainConfig& c) {
  const std::int64_t evaluations = c.eval_every > 0 ? divided_up(c.steps, c.eval_every) : kPauses;
  const double trained = static_cast<double>(c.steps) * step_tokens(c);
  const double tokens =
      kEvaluationShare / kForwardCost * trained / static_cast<double>(evaluations);
  const auto window = static_cast<double>(c.sequence);
  const double windows =
      std::max(std::floor(tokens / window), std::ceil(kLeastEvaluation / window));
  return static_cast<std::int64_t>(std::min(windows * window, 1e15));
}

/// Returns an interval for about kPauses checkpoints a run, however often it evaluates: each is a
/// whole model, and what is lost by a crash is what was trained since the last one.
std::int64_t decide_saves(const TrainConfig& c, std::int64_t rarely) {
  if (c.eval_every == 0 || c.eval_every > rarely) return rarely;
  return c.eval_every * divided_up(rarely, c.eval_every);
}

}  // namespace

void decide_length(TrainConfig& c, std::int64_t epoch_tokens) {
  if (c.steps == 0 || c.epochs > 0) c.steps = decide_steps(c, epoch_tokens);
  const std::int64_t rarely = divided_up(c.steps, kPauses);
  c.learning_rate = highest_rate(c);
  if (c.min_learning_rate < 0) c.min_learning_rate = c.learning_rate / 10;
  if (c.warmup < 0) c.warmup = decide_warmup(c.steps);
  if (c.eval_every < 0) c.eval_every = rarely;
  if (c.eval_tokens < 0) c.eval_tokens = affordable_tokens(c);
  if (c.save_every < 0) c.save_every = decide_saves(c, rarely);
}

}  // namespace cllm
