// A RunLoop is one call of Trainer::run: it makes the steps, and writes the run folder between
// them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_set.h"
#include "checkpoint/run_folder.h"
#include "checkpoint/writer.h"
#include "cllm/trainer.h"
#include "engine/step_news.h"
#include "telemetry/evaluation_record.h"
#include "telemetry/json_lines.h"
#include "telemetry/phase_clock.h"
#include "train/trainer_core.h"

namespace cllm {

/// Holds the run folder open and locked while it lives; a run without one writes nothing. A save
/// comes before the evaluation of the same step, so that a failure of the evaluation loses no step.
/// If a stop ends an evaluation early, the run makes it again when it continues.
class RunLoop {
 public:
  /// Says what a trainer knows of its folder from the last time that it held it.
  struct Known {
    bool began = false;        ///< it held the folder before
    std::int64_t newest = -1;  ///< step of the newest checkpoint then; -1: none
    std::int64_t saved = -1;   ///< step of the trainer's own newest checkpoint; -1: none
  };

  /// Opens the folder. Throws InputError when another run holds the folder, or has continued it
  /// since.
  RunLoop(TrainerCore& trainer, TrainObserver& observer, const Known& known);
  RunLoop(const RunLoop&) = delete;
  RunLoop& operator=(const RunLoop&) = delete;

  /// Does what Trainer::run promises.
  RunOutcome run();
  /// Returns what the trainer has to know when it returns.
  const Known& known() const noexcept { return known_; }

 private:
  RunOutcome train();
  bool stopping();
  /// Says whether so many evaluations came to nothing that the run ends before its last step.
  bool out_of_patience() const noexcept;
  /// Makes a step. Returns false when a stop came before it was complete: then the state is that of
  /// the step before.
  bool make_step();
  void between_steps();
  RunOutcome finish();
  RunReport report();

  bool can_save(bool must_succeed);
  void start_save(bool must_succeed = false);
  void save_and_wait();
  void finish_folder();
  void save_final();
  void tell(const std::optional<CheckpointResult>& result, bool must_succeed);
  /// Tells the note of a save, unless that of the one before was the same.
  void tell_note(const std::string& note);
  void set_branch_aside(std::int64_t step);
  void set_aside(const FoundCheckpoint& checkpoint);
  /// Returns the names of checkpoints that stay whatever their age.
  std::vector<std::string> protected_names() const;
  void follow_folder();
  void replace_folder();

  void evaluate();
  /// Saves the model as it is now, if its evaluation is the best.
  void keep_best();
  void link_best();

  void count_skip(const StepReport& report);
  void roll_back();
  bool restored(const FoundCheckpoint& checkpoint);

  void open_logs();
  /// Writes to a log. If it cannot be written, the run continues and the user is told once.
  template <class Write>
  void log(const Write& write);
  void flush_logs();
  void tell_choice();
  void write_counts();

  std::string in_run(const char* name) const { return folder_->path() + "/" + name; }
  bool has_checkpoint(std::int64_t step) const {
    return is_folder(in_run("checkpoints") + "/" + checkpoint_name(step));
  }
  /// Returns where the run is, for messages.
  std::string place() const { return folder_ ? folder_->path() : "a run without a folder"; }
  bool due(std::int64_t interval) const noexcept { return interval > 0 && done() % interval == 0; }
  std::int64_t done() const noexcept { return trainer_.steps_done.load(); }

  TrainerCore& trainer_;
  TrainObserver& observer_;
  std::optional<RunFolder> folder_;  // empty: nothing is written
  Known known_;
  std::optional<JsonLines> metrics_, spheres_, groups_, rings_;
  bool logs_fail_ = false;
  std::string told_;  // the last note of a save
  CheckpointWriter writer_;
  std::int64_t saving_;       // step of the last checkpoint that was started
  bool was_removed_ = false;  // the run folder, during the run
  EvaluationRecord evaluations_;
  std::optional<EvaluationReport> evaluation_;  // the last one in this run
  PhaseClock clock_;

  std::int64_t first_ = 0;    // steps done when the loop began
  std::int64_t made_ = 0;     // steps made, with those that were rolled back
  std::int64_t applied_ = 0;  // updates
  std::int64_t empty_ = 0;    // steps without a target to learn from
  std::int64_t late_ = 0;     // steps that waited for data
  std::int64_t skipped_in_row_ = 0;
  std::int64_t applied_since_rollback_ = 0;
  int rollbacks_ = 0;

  int chosen_ = 0;  // workers that compute from now on
  ChoiceNews choice_news_;
};

}  // namespace cllm
