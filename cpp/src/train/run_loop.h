// One call of Trainer::run: the steps, and what goes into the run folder between them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_set.h"
#include "cllm/trainer.h"
#include "telemetry/evaluation_record.h"
#include "telemetry/json_lines.h"
#include "train/checkpoint_writer.h"
#include "train/run_folder.h"
#include "train/step_news.h"
#include "train/trainer_core.h"

namespace cllm {

/// Holds the run folder open and locked for as long as it lives. A save comes before the evaluation
/// of the same step, so that whatever happens in there costs no step; an evaluation that a stop
/// broke off is made up for when the run goes on.
class RunLoop {
 public:
  /// `began`: the trainer has held this folder before, and `newest` was the step of the newest
  /// checkpoint in it then, -1 for none. Throws InputError when another run holds the folder, or
  /// has gone on with it meanwhile.
  RunLoop(TrainerCore& trainer, TrainObserver& observer, bool began, std::int64_t newest);
  RunLoop(const RunLoop&) = delete;
  RunLoop& operator=(const RunLoop&) = delete;

  /// As Trainer::run.
  RunOutcome run();
  /// The step of the newest checkpoint in the folder.
  std::int64_t newest_checkpoint() const noexcept { return newest_; }

 private:
  RunOutcome train();
  void open_logs();
  bool stopping();
  /// False when a stop came before it was complete: the state is that of the step before.
  bool make_step();
  void between_steps();
  RunOutcome finish();

  bool can_save(bool must_succeed);
  void start_save(bool must_succeed = false);
  void save_and_wait();
  /// Checkpoints that stay whatever their age.
  std::vector<std::string> protected_names() const;
  void tell(const std::optional<CheckpointResult>& result, bool must_succeed);
  void follow_folder();
  void replace_folder();
  void evaluate();
  void link_best();
  void count_skip(const StepReport& report);
  void roll_back();
  bool restored(const FoundCheckpoint& checkpoint);
  void tell_choice();
  void write_counts();
  std::string in_run(const char* name) const { return folder_->path() + "/" + name; }
  bool due(std::int64_t interval) const noexcept { return interval > 0 && done() % interval == 0; }
  std::int64_t done() const noexcept { return trainer_.steps_done.load(); }

  TrainerCore& trainer_;
  TrainObserver& observer_;
  std::optional<RunFolder> folder_;
  std::int64_t newest_;
  std::optional<JsonLines> metrics_, spheres_, groups_;
  CheckpointWriter writer_;
  EvaluationRecord evaluations_;
  std::int64_t first_ = 0;        // steps done when the loop began
  std::int64_t saved_step_ = -1;  // the last checkpoint that was started
  std::int64_t late_ = 0;         // steps that waited for data
  std::int64_t skipped_ = 0;      // updates that were not applied
  std::int64_t skipped_in_row_ = 0;
  std::int64_t applied_since_rollback_ = 0;
  int rollbacks_ = 0;
  bool was_removed_ = false;  // the run folder, under the run
  int chosen_ = 0;            // workers that go on
  ChoiceNews choice_news_;
};

}  // namespace cllm
