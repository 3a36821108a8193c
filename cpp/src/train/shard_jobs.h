// The jobs of positions: each runs the program of its shards one after another.
#pragma once

#include <memory>
#include <vector>

#include "model/shard_program.h"
#include "plan/batch_plan.h"
#include "spheres/job_plan.h"

namespace cllm {

/// Immutable after construction.
class ShardJobs {
 public:
  ShardJobs(const ModelConfig& config, const ParameterLayout& layout, const BatchPlan& plan,
            Pass pass, WeightLayout weights);

  /// The phases of a position, all its shards in order, on one workspace and one gradient.
  std::vector<PhasePlan> phases(int position) const;

  /// Which shard a phase of a position belongs to, and which phase of its program it is.
  struct Place {
    int shard;
    std::size_t phase;
    const ShardProgram* program;
  };
  const Place& place(int position, std::int32_t phase) const noexcept {
    return places_[static_cast<std::size_t>(position)][static_cast<std::size_t>(phase)];
  }

 private:
  const ShardProgram* program_for(const ModelConfig& config, const ParameterLayout& layout,
                                  const ShardShape& shape, Pass pass, WeightLayout weights);

  std::vector<std::unique_ptr<ShardProgram>> programs_;  // one for each size of shard
  std::vector<std::vector<Place>> places_;               // [position][phase]
};

}  // namespace cllm
