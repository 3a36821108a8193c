#include "train/run_loop.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/folders.h"
#include "base/words.h"
#include "cllm/error.h"
#include "cllm/options.h"
#include "cllm/wording.h"
#include "engine/crew_size.h"
#include "setup/run_summary.h"

namespace cllm {
namespace {

constexpr std::int64_t kWarmingSteps = 10;  // first touch of memory, caches, primitives
constexpr const char* kLogs[] = {"metrics.jsonl", "spheres.jsonl", "groups.jsonl", "rings.jsonl"};

/// Makes a request to stop end the current step while a run lasts. The request is cleared at the
/// end of the run, however it ends.
class StopRequest {
 public:
  explicit StopRequest(TrainerCore& trainer) : trainer_(trainer) {
    trainer_.session.set_cancel(&trainer_.stop);
  }
  ~StopRequest() {
    trainer_.session.set_cancel(nullptr);
    trainer_.stop.store(false, std::memory_order_relaxed);
  }
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

 private:
  TrainerCore& trainer_;
};

std::string text(std::int64_t n) { return std::to_string(n); }

std::string early_end(const EvaluationRecord& record, std::int64_t patience) {
  char loss[32];
  std::snprintf(loss, sizeof loss, "%.4f", record.lowest_loss);
  return "step " + text(record.last_step) + ": the run ends early, after " +
         counted(record.waited, "evaluation") + " without a lower validation loss than " + loss +
         " at step " + text(record.lowest_step) + " (" + option_word("patience", text(patience)) +
         "; with 0 it goes on)";
}

std::int64_t newest_step(const std::string& run) {
  const std::vector<FoundCheckpoint> found = find_checkpoints(run);
  return found.empty() ? -1 : found.front().step;
}

}  // namespace

RunLoop::RunLoop(TrainerCore& trainer, TrainObserver& observer, const Known& known)
    : trainer_(trainer),
      observer_(observer),
      known_(known),
      writer_(trainer.session.state().layout, trainer.session.state().trainables().data(),
              trainer.optimizer_ranges(), trainer.plan.session.snapshot,
              trainer.session.state().embedding()),
      saving_(known.saved),
      clock_(std::exchange(trainer.preparing_ns, 0)) {
  const bool began = std::exchange(known_.began, true);
  const TrainConfig& c = trainer.plan.config;
  if (c.out.empty()) return;
  folder_.emplace(c.out, began         ? RunFolder::Start::kResumed
                         : c.overwrite ? RunFolder::Start::kReplaced
                                       : RunFolder::Start::kNew);
  const std::int64_t newest = newest_step(folder_->path());
  if (newest <= std::max(known.newest, done())) return;
  throw InputError(
      {"another process has gone on with this run", "a checkpoint of step " + text(newest),
       "at most step " + text(std::max(known.newest, done())), folder_->path(), "resume it again"});
}

void RunLoop::open_logs() {
  if (!folder_) return;
  folder_->write_config(to_toml(trainer_.plan.config));
  for (const char* name : kLogs) truncate_after_step(in_run(name), done());
  metrics_.emplace(in_run(kLogs[0]));
  spheres_.emplace(in_run(kLogs[1]));
  groups_.emplace(in_run(kLogs[2]));
  if (trainer_.plan.config.lattice) rings_.emplace(in_run(kLogs[3]));
  if (trainer_.can_evaluate()) {
    evaluations_ = read_evaluations(in_run(kLogs[0]), trainer_.rows().targets_total());
  }
  // A best evaluation whose checkpoint is gone cannot be kept, unless it is of the model as it is
  // now: the next evaluation may be the best.
  const std::int64_t best = evaluations_.best_step;
  if (trainer_.plan.config.keep_best && best != done() && !has_checkpoint(best)) {
    evaluations_.forget_best();
  }
}

template <class Write>
void RunLoop::log(const Write& write) {
  if (!folder_) return;
  try {
    write();
    logs_fail_ = false;
  } catch (const Error& error) {
    if (!logs_fail_) observer_.on_note(std::string("the run goes on: ") + error.what());
    logs_fail_ = true;
  }
}

void RunLoop::flush_logs() {
  for (std::optional<JsonLines>* lines : {&metrics_, &spheres_, &groups_, &rings_}) {
    if (*lines) log([lines] { (*lines)->flush(); });
  }
}

bool RunLoop::stopping() {
  if (observer_.wants_stop()) trainer_.stop.store(true, std::memory_order_relaxed);
  return trainer_.stop.load(std::memory_order_relaxed);
}

bool RunLoop::out_of_patience() const noexcept {
  const std::int64_t patience = trainer_.plan.config.patience;
  return patience > 0 && evaluations_.waited >= patience;
}

RunOutcome RunLoop::run() {
  const StopRequest request(trainer_);
  try {
    const RunOutcome outcome = train();
    if (outcome == RunOutcome::kFinished) observer_.on_end(report());
    return outcome;
  } catch (const DataError&) {
    save_and_wait();  // the state is that of the last complete step
    throw;
  }
}

RunOutcome RunLoop::train() {
  const TrainConfig& c = trainer_.plan.config;
  open_logs();
  observer_.on_start(describe(trainer_.plan));
  for (const std::string& note : trainer_.plan.notes) observer_.on_note(note);
  for (const std::string& news : trainer_.plan.news) observer_.on_news(news);
  if (!folder_) observer_.on_news("no run folder was given: nothing is saved");
  first_ = done();
  trainer_.window->restart();
  clock_.enter(RunPhase::kTraining);
  // A stop may have come between the save of this step and its evaluation, or between that and the
  // save of the best.
  if (due(c.eval_every) && evaluations_.last_step != done() && first_ > 0) evaluate();
  keep_best();
  while (done() < c.steps && !out_of_patience() && !stopping()) {
    if (done() - first_ == kWarmingSteps) trainer_.window->restart();
    if (make_step() && done() < c.steps) between_steps();
  }
  write_counts();
  return finish();
}

bool RunLoop::make_step() {
  const StepReport report = trainer_.step();
  if (trainer_.cancelled()) return false;
  late_ += report.late ? 1 : 0;
  ++made_;
  log([&] { metrics_->write(report); });
  observer_.on_step(report);
  count_skip(report);
  tell_choice();
  return true;
}

void RunLoop::between_steps() {
  const TrainConfig& c = trainer_.plan.config;
  tell(writer_.poll(), false);
  const bool asked = trainer_.save_requested.exchange(false, std::memory_order_relaxed);
  // While updates are skipped, the last good checkpoints matter and must stay.
  if (asked || (due(c.save_every) && skipped_in_row_ == 0)) start_save();
  if (due(c.eval_every)) evaluate();
  if (due(c.spheres_every)) write_counts();
}

RunOutcome RunLoop::finish() {
  const TrainConfig& c = trainer_.plan.config;
  const std::string waited = late_steps_note(late_, made_);
  if (!waited.empty()) observer_.on_note(waited);
  const std::string of_all = " of " + text(made_) + " ";
  if (empty_ > 0) {
    observer_.on_note(text(empty_) + of_all + "step batches had no target to learn from");
  }
  if (applied_ + empty_ < made_) {
    observer_.on_note(text(made_ - empty_ - applied_) + of_all + "updates were skipped");
  }
  if (done() < c.steps && !out_of_patience()) {
    save_and_wait();
    return RunOutcome::kStopped;
  }
  if (done() < c.steps) observer_.on_news(early_end(evaluations_, c.patience));
  if (made_ > empty_ && applied_ == 0) {
    throw Error(ErrorParts{"training diverged", "every update was skipped", "a finite loss",
                           place(), "a lower " + option_word("lr")});
  }
  if (folder_) finish_folder();
  if (c.eval_every > 0 && evaluations_.last_step != done()) {
    evaluate();
    const PhaseClock::Scope saving(clock_, RunPhase::kSaving);
    tell(writer_.wait(), false);  // it may have been the best
    flush_logs();
    // The evaluation ended early: the run is resumed for it.
    if (trainer_.can_evaluate() && evaluations_.last_step != done()) {
      return RunOutcome::kStopped;
    }
  }
  return RunOutcome::kFinished;
}

RunReport RunLoop::report() {
  clock_.enter(RunPhase::kSaving);  // completes the span of training
  RunReport r;
  r.step = done();
  if (folder_) r.model = trainer_.plan.config.out + "/final";  // as the user wrote it
  if (folder_ && trainer_.plan.config.keep_best && evaluations_.best_step >= 0 &&
      evaluations_.best_step < done()) {
    r.best_model = trainer_.plan.config.out + "/checkpoints/best";
    r.best_step = evaluations_.best_step;
    r.best_loss = evaluations_.best_loss;
  }
  r.evaluated = evaluation_.has_value();
  if (evaluation_.has_value()) {
    r.validation_loss = evaluation_->validation_loss;
    r.bits_per_byte = evaluation_->bits_per_byte;
  }
  r.starting_seconds = clock_.seconds(RunPhase::kStarting);
  r.training_seconds = clock_.seconds(RunPhase::kTraining);
  r.validation_seconds = clock_.seconds(RunPhase::kValidation);
  r.saving_seconds = clock_.seconds(RunPhase::kSaving);
  return r;
}

void RunLoop::evaluate() {
  if (!trainer_.can_evaluate()) return;
  const PhaseClock::Scope validation(clock_, RunPhase::kValidation);
  const EvaluationReport report = trainer_.evaluate([this] { return stopping(); });
  if (std::isnan(report.validation_loss) && trainer_.stop.load()) return;  // it ended early
  log([&] { metrics_->write(report); });
  observer_.on_evaluation(report);
  evaluation_ = report;
  evaluations_.add(report.step, report.validation_loss, report.val_tokens);
  keep_best();
}

void RunLoop::keep_best() {
  if (!folder_ || !trainer_.plan.config.keep_best || evaluations_.best_step != done()) return;
  // The final model may have been saved without a checkpoint, or that save has failed.
  if (!writer_.busy() && !has_checkpoint(done())) saving_ = -1;
  start_save();
  link_best();
}

void RunLoop::link_best() {
  const bool keeps = folder_ && trainer_.plan.config.keep_best;
  if (!keeps || evaluations_.best_step < 0 || writer_.busy()) return;
  const std::string warning =
      update_best_link(in_run("checkpoints"), checkpoint_name(evaluations_.best_step));
  if (!warning.empty()) observer_.on_note(warning);
}

// -- counts -------------------------------------------------------------------------------------

void RunLoop::tell_choice() {
  const WorkerTuner& tuner = trainer_.session.tuner();
  const int most = trainer_.session.tree().most_active_workers();
  if (choice_news_.is_due(tuner, most)) observer_.on_news(describe_choice(trainer_.session));
  if (!tuner.settled() || tuner.trials().empty() || tuner.workers() == chosen_) return;
  chosen_ = tuner.workers();
  trainer_.window->restart();  // the counts are of those that compute from now on
}

void RunLoop::write_counts() {
  trainer_.window->pause();
  for (const SphereReport& report : trainer_.window->report()) {
    log([&] { spheres_->write(report, done()); });
  }
  for (const GroupReport& report : trainer_.batches.groups()) {
    log([&] { groups_->write(report, done()); });
  }
  for (const RingReport& report : trainer_.batches.rings()) {
    log([&] { rings_->write(report, done()); });
  }
  trainer_.window->resume();
}

}  // namespace cllm
