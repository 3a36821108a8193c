// play_schedule() plays a step's jobs by its own clock: it claims tiles as the tree does, but
// without threads, so that a schedule can be judged for any number of workers.
#pragma once

#include <functional>

#include "cllm/tree_plan.h"
#include "engine/train_schedule.h"

namespace cllm {

/// Says how long each action of a step takes, in any one unit that the caller chooses.
struct PlayTimes {
  std::function<double(const TileClaim&)> tile;
  double claim = 0;  ///< claiming a tile and reporting it
  double wake = 0;   ///< until the root, or a worker that sleeps, hears of something
  double spin = 0;   ///< how long a worker looks for work before it sleeps
};

struct PlayedStep {
  double time = 0;  ///< from the first job's opening to the root's last decision
  std::int64_t tiles = 0;
  std::int64_t done_messages = 0;  ///< Done goes up the tree hop by hop, one message each
};

/// Runs no tile: the stage's own rule claims and reports tiles, the first `active` workers of the
/// tree take part, and a worker without a tile looks again whenever something ends. Throws
/// std::logic_error when no worker has a tile and the step is not complete.
PlayedStep play_schedule(TrainSchedule& schedule, const ShardJobs& shards, const TreePlan& tree,
                         std::int64_t active, const PlayTimes& times);

}  // namespace cllm
