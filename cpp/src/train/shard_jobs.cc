#include "train/shard_jobs.h"

namespace cllm {

ShardJobs::ShardJobs(const ModelConfig& config, const ParameterLayout& layout,
                     const BatchPlan& plan, Pass pass, WeightLayout weights) {
  for (const PositionPlan& position : plan.positions) {
    auto& places = places_.emplace_back();
    for (int s = position.first_shard; s < position.first_shard + position.shards; ++s) {
      const ShardShape shape{plan.shards[static_cast<std::size_t>(s)].sequences, plan.sequence};
      const ShardProgram* program = program_for(config, layout, shape, pass, weights);
      for (std::size_t phase = 0; phase < program->phases().size(); ++phase) {
        places.push_back({s, phase, program});
      }
    }
  }
}

const ShardProgram* ShardJobs::program_for(const ModelConfig& config, const ParameterLayout& layout,
                                           const ShardShape& shape, Pass pass,
                                           WeightLayout weights) {
  for (const auto& program : programs_) {
    if (program->cuts().shape.sequences == shape.sequences) return program.get();
  }
  programs_.push_back(std::make_unique<ShardProgram>(config, layout, shape, pass, weights));
  return programs_.back().get();
}

std::vector<PhasePlan> ShardJobs::phases(int position) const {
  std::vector<PhasePlan> plans;
  PhaseOrder order;
  for (const Place& place : places_[static_cast<std::size_t>(position)]) {
    const Phase& phase = place.program->phases()[place.phase];
    plans.push_back({phase.tiles, order.add(phase.accesses)});
  }
  return plans;
}

}  // namespace cllm
