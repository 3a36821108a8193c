// Where a resumed run goes on, and with which settings: the one place that decides what may change.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/trainer_state.h"
#include "cllm/train_config.h"

namespace cllm {

struct ResumePoint {
  std::string run;           ///< the run folder; "" when the checkpoint lies in none
  std::string checkpoint;    ///< its folder; "" when the run was ended before it completed one
  TrainerState state;        ///< of the checkpoint
  std::int64_t newest = -1;  ///< step of the newest complete checkpoint of the run
  std::vector<std::string> notes;
};

/// `resume` is a run folder, whose newest complete and undamaged checkpoint is taken, or the folder
/// of one checkpoint. Which one is newest is what the checkpoints themselves say, not their names
/// or links. Every byte of the chosen one was verified. Throws InputError when the folder is
/// neither, and when it holds checkpoints but none that can be used.
ResumePoint find_resume_point(const std::string& resume);

/// The settings of the run as its checkpoint recorded them, with what config.toml in its folder and
/// `asked` change: options that the answer does not depend on, the number of steps, and where the
/// data lie now. Throws InputError for every other change, naming where it stands.
TrainConfig resumed_config(const TrainConfig& asked, const ResumePoint& point);

}  // namespace cllm
