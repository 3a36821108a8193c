#include "train/shard_jobs.h"

namespace cllm {

ShardJobs::ShardJobs(const ModelConfig& config, const ParameterLayout& layout,
                     const BatchPlan& plan, bool training) {
  for (const PositionPlan& position : plan.positions) {
    auto& places = places_.emplace_back();
    for (int s = position.first_shard; s < position.first_shard + position.shards; ++s) {
      const ShardShape shape{plan.shards[static_cast<std::size_t>(s)].sequences, plan.sequence};
      const ShardProgram* program = program_for(config, layout, shape, training);
      for (std::size_t phase = 0; phase < program->phases().size(); ++phase) {
        places.push_back({s, phase, program});
      }
    }
  }
}

const ShardProgram* ShardJobs::program_for(const ModelConfig& config, const ParameterLayout& layout,
                                           const ShardShape& shape, bool training) {
  for (const auto& program : programs_) {
    if (program->cuts().shape.sequences == shape.sequences) return program.get();
  }
  programs_.push_back(std::make_unique<ShardProgram>(config, layout, shape, training));
  return programs_.back().get();
}

std::vector<std::int32_t> ShardJobs::tiles(int position) const {
  std::vector<std::int32_t> tiles;
  for (const Place& place : places_[static_cast<std::size_t>(position)]) {
    tiles.push_back(place.program->phases()[place.phase].tiles());
  }
  return tiles;
}

}  // namespace cllm
