// A step's jobs played through by a clock of their own: the tree's claiming of tiles without its
// threads, so that a schedule can be judged for any number of workers.
#pragma once

#include <functional>

#include "cllm/tree_plan.h"
#include "engine/train_schedule.h"

namespace cllm {

/// How long what a step consists of takes, in one unit of the caller's choice.
struct PlayTimes {
  std::function<double(const TileClaim&)> tile;
  double claim = 0;  ///< taking a tile and reporting it
  double wake = 0;   ///< until the root, or a worker that fell asleep, hears of something
  double spin = 0;   ///< what a worker looks for before it falls asleep
};

struct PlayedStep {
  double time = 0;  ///< from the first job's opening to the root's last decision
  std::int64_t tiles = 0;
  std::int64_t done_messages = 0;  ///< Done goes up the tree hop by hop, a message each
};

/// Runs nothing: tiles are claimed and reported by the stage's own rule, the first `active` workers
/// of the tree take part, and who has nothing looks again whenever something ends.
/// Throws std::logic_error when nobody works and the step is not complete.
PlayedStep play_schedule(TrainSchedule& schedule, const ShardJobs& shards, const TreePlan& tree,
                         std::int64_t active, const PlayTimes& times);

}  // namespace cllm
