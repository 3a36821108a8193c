// This part of the run loop handles updates which are not applied: it counts them, ends a run that
// diverged, or takes it back to its last good checkpoint.
#include <string>

#include "cllm/error.h"
#include "cllm/wording.h"
#include "train/run_loop.h"

namespace cllm {
namespace {

constexpr int kMostRollbacks = 5;

std::string text(std::int64_t n) { return std::to_string(n); }

}  // namespace

void RunLoop::count_skip(const StepReport& report) {
  if (report.trained_tokens == 0) {  // which says nothing of the training
    ++empty_;
    return;
  }
  if (!report.skipped) {
    skipped_in_row_ = 0;
    ++applied_;
    ++applied_since_rollback_;
    return;
  }
  if (++skipped_in_row_ == 1) {
    const std::string tensor = trainer_.first_bad_gradient();
    observer_.on_note("step " + text(report.step) + ": update skipped, " +
                      (tensor.empty() ? "the loss or the norm of the gradient is not finite"
                                      : "the gradient is not finite, first in " + tensor));
  }
  const std::int64_t limit = trainer_.plan.config.skip_limit;
  if (limit == 0 || skipped_in_row_ < limit) return;
  tell(writer_.wait(), false);
  if (trainer_.plan.config.on_divergence == "rollback" && rollbacks_ < kMostRollbacks) {
    return roll_back();
  }
  throw Error(ErrorParts{
      "training diverged", text(skipped_in_row_) + " updates in a row were skipped",
      "a finite loss and gradient", place(),
      !folder_ ? "a lower " + option_word("lr")
      : rollbacks_ > 0
          ? "it was rolled back " + text(rollbacks_) + " times: a lower " + option_word("lr")
          : option_word("resume", folder_->path()) + " with " +
                option_word("on-divergence", "rollback") +
                " goes back to the last good checkpoint at half the learning rate; or a lower " +
                option_word("lr")});
}

bool RunLoop::restored(const FoundCheckpoint& checkpoint) {
  try {
    trainer_.restore(checkpoint.folder);
    return true;
  } catch (const Error& damaged) {
    observer_.on_note(damaged.what());
    return false;
  }
}

void RunLoop::roll_back() {
  // If no update was applied since the last rollback, the checkpoint of that rollback was not good.
  const std::int64_t before =
      rollbacks_ > 0 && applied_since_rollback_ == 0 ? known_.newest : done();
  const double scale = trainer_.rate_scale() / 2;
  known_.newest = -1;
  for (const FoundCheckpoint& each : find_checkpoints(folder_->path())) {
    if (each.step < before && restored(each)) {
      known_.newest = each.step;
      break;
    }
    set_aside(each);
  }
  if (known_.newest < 0) trainer_.restore("");
  trainer_.set_rate_scale(scale);
  saving_ = known_.saved = known_.newest;
  skipped_in_row_ = applied_since_rollback_ = 0;
  ++rollbacks_;
  open_logs();
  trainer_.batches.prepare(done());
  observer_.on_note("training diverged: going back to step " + text(done()) + " at " +
                    std::to_string(scale) + " of the learning rate");
}

}  // namespace cllm
