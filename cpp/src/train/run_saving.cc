// This part of the run loop writes checkpoints and the final model, and keeps to the run folder
// when that is moved or removed.
#include <string>

#include "base/folders.h"
#include "cllm/error.h"
#include "cllm/wording.h"
#include "train/run_loop.h"

namespace cllm {
namespace {

std::string text(std::int64_t n) { return std::to_string(n); }

}  // namespace

void RunLoop::finish_folder() {
  const PhaseClock::Scope saving(clock_, RunPhase::kSaving);
  tell(writer_.wait(), false);
  follow_folder();
  if (was_removed_) start_save(true);
  flush_logs();
  save_final();
  // A run that was killed between a save and its pruning has one checkpoint too many.
  prune_checkpoints(in_run("checkpoints"), trainer_.plan.config.keep + 1, protected_names(),
                    done());
}

void RunLoop::save_final() {
  std::string note;
  try {
    note = trainer_.save(in_run("final"));
  } catch (const Error&) {
    save_and_wait();  // if the final folder cannot be written, a checkpoint may be
    throw;
  }
  known_.newest = known_.saved = done();
  tell_note(note);
  observer_.on_checkpoint(in_run("final"));
}

void RunLoop::follow_folder() {
  const std::string before = folder_->path();
  if (folder_->removed()) return replace_folder();
  if (!folder_->follow()) return;
  trainer_.plan.config.out = folder_->path();
  open_logs();
  observer_.on_note("the run folder " + before + " was renamed: going on in " + folder_->path());
}

void RunLoop::replace_folder() {
  const std::string place = folder_->path();
  folder_.reset();
  folder_.emplace(place, RunFolder::Start::kNew);
  open_logs();
  saving_ = known_.newest = known_.saved = -1;
  was_removed_ = true;
}

std::vector<std::string> RunLoop::protected_names() const {
  if (!trainer_.plan.config.keep_best || evaluations_.best_step < 0) return {};
  return {checkpoint_name(evaluations_.best_step)};
}

bool RunLoop::can_save(bool must_succeed) {
  try {
    trainer_.check_finite();
    return true;
  } catch (const Error& error) {
    if (must_succeed) throw;
    observer_.on_note(error.what());
    return false;
  }
}

void RunLoop::start_save(bool must_succeed) {
  const PhaseClock::Scope saving(clock_, RunPhase::kSaving);
  if (!folder_ || saving_ == done()) return;
  tell(writer_.wait(), false);
  trainer_.window->pause();
  follow_folder();
  flush_logs();
  CheckpointJob job;
  job.checkpoints = in_run("checkpoints");
  job.state = trainer_.trainer_state(!must_succeed);
  job.extra = trainer_.plan.carried;
  job.keep = trainer_.plan.config.keep;
  job.protect = protected_names();
  // The observer has heard of all this and may have written to the weights.
  trainer_.session.fold();
  const bool sound = can_save(must_succeed);
  if (sound) {
    saving_ = done();
    writer_.start(std::move(job));
  }
  trainer_.window->resume();
  if (!sound || !was_removed_) return;
  tell(writer_.wait(), true);
  throw Error(ErrorParts{"the run folder was removed while the run was using it",
                         "step " + text(saving_) + " was saved in a new one", "", folder_->path(),
                         option_word("resume", folder_->path()) + " goes on"});
}

void RunLoop::save_and_wait() {
  const PhaseClock::Scope saving(clock_, RunPhase::kSaving);
  tell(writer_.wait(), false);
  if (saving_ != known_.saved) saving_ = -1;  // it failed
  start_save(true);
  tell(writer_.wait(), true);
}

void RunLoop::tell_note(const std::string& note) {
  if (!note.empty() && note != told_) observer_.on_note(note);
  told_ = note;
}

void RunLoop::tell(const std::optional<CheckpointResult>& result, bool must_succeed) {
  if (!result.has_value()) return;
  for (const std::string& warning : result->warnings) observer_.on_note(warning);
  if (result->failure.empty()) {
    tell_note(result->note);
    if (known_.newest > result->step) set_branch_aside(result->step);
    known_.newest = known_.saved = result->step;
    observer_.on_checkpoint(result->folder);
    return link_best();
  }
  if (must_succeed) throw Error(result->failure);
  observer_.on_note("step " + text(result->step) +
                    " could not be saved, the run goes on and tries "
                    "again at the next save: " +
                    result->failure);
}

/// A run that went back to an earlier checkpoint continues from its own ones. Checkpoints of later
/// steps belong to the branch that it left.
void RunLoop::set_branch_aside(std::int64_t step) {
  for (const FoundCheckpoint& each : find_checkpoints(folder_->path())) {
    if (each.step > step) set_aside(each);
  }
}

void RunLoop::set_aside(const FoundCheckpoint& checkpoint) {
  try {
    set_checkpoint_aside(checkpoint.folder);
  } catch (const Error& error) {
    observer_.on_note(error.what());
  }
}

}  // namespace cllm
