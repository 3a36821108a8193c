#include "train/shard_jobs.h"

#include <algorithm>

namespace cllm {
namespace {

/// Looked through for every tile, so few, but enough to be dealt evenly among most teams.
constexpr std::int64_t kMostStrands = 8;

/// The part of the rows of its shard that a phase belongs to, by the middle of its own.
std::int32_t strand_of(const Range& rows, std::int64_t all, std::int64_t strands) {
  if (rows.size() == all || strands == 1) return 0;
  return static_cast<std::int32_t>(1 + (rows.begin + rows.end) * strands / (2 * all));
}

}  // namespace

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
  const std::vector<Place>& places = places_[static_cast<std::size_t>(position)];
  std::int64_t strands = 1;  // no more than parts of the rows that go through a shard together
  for (const Place& place : places) {
    const std::int64_t parts = place.program->cuts().projection.row_tiles();
    strands = std::clamp(parts, strands, kMostStrands);
  }
  std::vector<PhasePlan> plans;
  PhaseOrder order;
  for (const Place& place : places) {
    const Phase& phase = place.program->phases()[place.phase];
    const std::int64_t rows = place.program->cuts().shape.rows();
    plans.push_back({phase.tiles, order.add(phase.accesses), strand_of(phase.rows, rows, strands)});
  }
  return plans;
}

}  // namespace cllm
