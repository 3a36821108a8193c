// These functions say where a resumed run continues, and with which settings. No other place
// decides what may change.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/trainer_state.h"
#include "cllm/train_config.h"

namespace cllm {

struct ResumePoint {
  std::string run;           ///< the run folder; "" when the checkpoint is not in one
  std::string checkpoint;    ///< its folder; "" when the run ended before it completed one
  TrainerState state;        ///< of the checkpoint
  std::int64_t newest = -1;  ///< step of the newest complete checkpoint of the run
  std::vector<std::string> notes;
};

/// Finds the checkpoint to continue from. `resume` is a run folder, whose newest complete and
/// undamaged checkpoint is taken, or the folder of one checkpoint. The checkpoints themselves say
/// which one is newest, not their names or links. Every byte of the chosen one was verified. Throws
/// InputError when the folder is neither, and when it holds checkpoints but none that can be used.
ResumePoint find_resume_point(const std::string& resume);

/// Returns the settings of the run as its checkpoint recorded them, with the changes that
/// config.toml in its folder and `asked` make. They may change options that the answer does not
/// depend on, the number of steps, and where the data lies now. Throws InputError for every other
/// change, and says where it was made.
TrainConfig resumed_config(const TrainConfig& asked, const ResumePoint& point);

}  // namespace cllm
