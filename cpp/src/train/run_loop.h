// One call of Trainer::run: the steps, and what goes into the run folder between them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_set.h"
#include "checkpoint/run_folder.h"
#include "cllm/trainer.h"
#include "telemetry/evaluation_record.h"
#include "telemetry/json_lines.h"
#include "train/checkpoint_writer.h"
#include "train/step_news.h"
#include "train/trainer_core.h"

namespace cllm {

/// Holds the run folder open and locked for as long as it lives. A save comes before the evaluation
/// of the same step, so that whatever happens in there costs no step; an evaluation that a stop
/// broke off is made up for when the run goes on.
class RunLoop {
 public:
  /// What a trainer knows of its folder from the time that it held it before.
  struct Known {
    bool began = false;        ///< there was such a time
    std::int64_t newest = -1;  ///< step of the newest checkpoint then; -1: none
    std::int64_t saved = -1;   ///< step of the trainer's own newest checkpoint; -1: none
  };

  /// Throws InputError when another run holds the folder, or has gone on with it meanwhile.
  RunLoop(TrainerCore& trainer, TrainObserver& observer, const Known& known);
  RunLoop(const RunLoop&) = delete;
  RunLoop& operator=(const RunLoop&) = delete;

  /// As Trainer::run.
  RunOutcome run();
  /// What the trainer has to know when it comes back.
  const Known& known() const noexcept { return known_; }

 private:
  RunOutcome train();
  bool stopping();
  /// False when a stop came before it was complete: the state is that of the step before.
  bool make_step();
  void between_steps();
  RunOutcome finish();

  bool can_save(bool must_succeed);
  void start_save(bool must_succeed = false);
  void save_and_wait();
  void save_final();
  void tell(const std::optional<CheckpointResult>& result, bool must_succeed);
  void set_branch_aside(std::int64_t step);
  void set_aside(const FoundCheckpoint& checkpoint);
  /// Checkpoints that stay whatever their age.
  std::vector<std::string> protected_names() const;
  void follow_folder();
  void replace_folder();

  void evaluate();
  void link_best();

  void count_skip(const StepReport& report);
  void roll_back();
  bool restored(const FoundCheckpoint& checkpoint);

  void open_logs();
  /// Writes to a log. One that cannot be written does not end the run: that is told, once.
  template <class Write>
  void log(const Write& write);
  void flush_logs();
  void tell_choice();
  void write_counts();

  std::string in_run(const char* name) const { return folder_->path() + "/" + name; }
  bool due(std::int64_t interval) const noexcept { return interval > 0 && done() % interval == 0; }
  std::int64_t done() const noexcept { return trainer_.steps_done.load(); }

  TrainerCore& trainer_;
  TrainObserver& observer_;
  std::optional<RunFolder> folder_;
  Known known_;
  std::optional<JsonLines> metrics_, spheres_, groups_;
  bool logs_fail_ = false;
  CheckpointWriter writer_;
  std::int64_t saving_;       // step of the last checkpoint that was started
  bool was_removed_ = false;  // the run folder, under the run
  EvaluationRecord evaluations_;

  std::int64_t first_ = 0;    // steps done when the loop began
  std::int64_t made_ = 0;     // steps made, with those that were rolled back
  std::int64_t applied_ = 0;  // updates
  std::int64_t late_ = 0;     // steps that waited for data
  std::int64_t skipped_in_row_ = 0;
  std::int64_t applied_since_rollback_ = 0;
  int rollbacks_ = 0;

  int chosen_ = 0;  // workers that go on
  ChoiceNews choice_news_;
};

}  // namespace cllm
