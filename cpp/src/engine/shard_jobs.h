// ShardJobs plans the jobs of positions: each runs the program of its shards one after another.
#pragma once

#include <memory>
#include <vector>

#include "model/shard_program.h"
#include "plan/batch_plan.h"
#include "spheres/job_plan.h"

namespace cllm {

/// Plans the jobs of all positions. It is immutable after construction. Its size does not grow with
/// the shards of a position, because those of one shape are laps of the same phases.
class ShardJobs {
 public:
  /// Makes the plans. Throws InputError for a step with more tiles than can be counted.
  ShardJobs(const ModelConfig& config, const ParameterLayout& layout, const BatchPlan& plan,
            Pass pass, WeightLayout weights, HeadRows head = HeadRows::kAll);

  /// Writes the phases of a position and how often they come: all its shards in order, on one
  /// workspace and one gradient.
  void lay_out(int position, JobPlan& job) const;

  /// Says which shard a phase of a position belongs to, and which phase of its program it is.
  struct Place {
    int shard;
    std::size_t phase;
    const ShardProgram* program;
  };
  Place place(int position, std::int32_t phase) const noexcept {
    const std::vector<Row>& rows = positions_[static_cast<std::size_t>(position)].rows;
    const Row* row = rows.data();
    for (const Row* const last = row + rows.size() - 1; row != last; ++row) {
      if (phase < row[1].first_phase) break;
    }
    const std::int32_t in = phase - row->first_phase;
    return {row->first_shard + in / row->phases, static_cast<std::size_t>(in % row->phases),
            row->program};
  }

  /// Returns what it cost to make the plans, in accesses of phases that were compared.
  std::int64_t looks() const noexcept { return looks_; }

 private:
  /// Describes neighbouring shards of one shape.
  struct Row {
    const ShardProgram* program;
    int first_shard, shards;
    std::int32_t first_phase, phases;  // of one shard
  };
  struct Position {
    std::vector<Row> rows;
    std::size_t shape;  // index into shapes_
  };
  /// Holds what positions with the same rows have in common.
  struct Shape {
    std::vector<PhasePlan> phases;
    std::vector<Lap> laps;
  };

  const ShardProgram* program_for(const ModelConfig& config, const ParameterLayout& layout,
                                  const ShardShape& shape, Pass pass, WeightLayout weights,
                                  HeadRows head);
  std::size_t shape_for(const std::vector<Row>& rows);
  Shape plan_shape(const std::vector<Row>& rows);

  std::vector<std::unique_ptr<ShardProgram>> programs_;  // one for each size of shard
  std::vector<Position> positions_;
  std::vector<Shape> shapes_;
  std::int64_t looks_ = 0;
};

}  // namespace cllm
