#include "engine/shard_jobs.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>

#include "cllm/error.h"
#include "cllm/wording.h"

namespace cllm {
namespace {

/// A claim looks through the strands for every tile, so they are few, but enough to be divided
/// evenly among most teams.
constexpr std::int64_t kMostStrands = 8;

/// Returns the part of a shard's rows that a phase belongs to, by the middle of the phase's rows.
std::int32_t strand_of(const Range& rows, std::int64_t all, std::int64_t strands) {
  if (rows.size() == all || strands == 1) return 0;
  return static_cast<std::int32_t>(1 + (rows.begin + rows.end) * strands / (2 * all));
}

std::int32_t most_strands(const ShardProgram& program) {
  // There are no more strands than parts of the rows that go through a shard together.
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(
      program.cuts().linear(LinearSite::kProjection).forward.row_tiles(), 1, kMostStrands));
}

/// Marks what the phases marked in `ends` wait for: those of the same time in `ends`, those of the
/// time before in `earlier`. `first` is the number of phase 0 of the lap.
void mark_waits(const std::vector<PhasePlan>& lap, std::int32_t first, std::vector<char>& ends,
                std::vector<char>& earlier) {
  for (std::size_t p = lap.size(); p-- > 0;) {
    if (ends[p] == 0) continue;
    for (const std::int32_t before : lap[p].after) {
      const bool same = before >= first;
      const std::int32_t in = before - first + (same ? 0 : static_cast<std::int32_t>(lap.size()));
      (same ? ends : earlier)[static_cast<std::size_t>(in)] = 1;
    }
  }
}

/// Says whether all phases of one time of a lap have ended before any phase of the second time
/// after it opens: every phase that waits for none of its own time waits, through the time between,
/// for all of them.
bool keeps_apart(const std::vector<PhasePlan>& lap, std::int32_t first) {
  for (const PhasePlan& phase : lap) {
    if (!phase.after.empty() && phase.after.back() >= first) continue;
    std::vector<char> between(lap.size(), 0), before(lap.size(), 0), nothing(lap.size(), 0);
    for (const std::int32_t wait : phase.after) {
      between[static_cast<std::size_t>(wait - first) + lap.size()] = 1;
    }
    mark_waits(lap, first, between, before);
    mark_waits(lap, first, before, nothing);
    if (std::count(before.begin(), before.end(), 0) > 0) return false;
  }
  return true;
}

}  // namespace

ShardJobs::ShardJobs(const ModelConfig& config, const ParameterLayout& layout,
                     const BatchPlan& plan, Pass pass, WeightLayout weights, HeadRows head) {
  for (const PositionPlan& position : plan.positions) {
    std::vector<Row> rows;
    std::int64_t phases = 0, tiles = 0;
    for (int s = position.first_shard; s < position.first_shard + position.shards; ++s) {
      const ShardShape shape{plan.shards[static_cast<std::size_t>(s)].sequences, plan.sequence};
      if (rows.empty() || rows.back().program->cuts().shape.sequences != shape.sequences) {
        const ShardProgram* program = program_for(config, layout, shape, pass, weights, head);
        rows.push_back({program, s, 0, static_cast<std::int32_t>(phases),
                        static_cast<std::int32_t>(program->phases().size())});
      }
      ++rows.back().shards;
      phases += rows.back().phases;
      tiles += rows.back().program->tiles();
      if (tiles > std::numeric_limits<std::int32_t>::max()) {
        throw InputError(
            {"the step batch is too large to be planned", std::to_string(plan.batch) + " sequences",
             "at most " + std::to_string(s) + " shards in a position", option_word("batch"),
             "a smaller " + option_word("batch") + " or " + option_word("grad-accum")});
      }
    }
    const std::size_t shape = shape_for(rows);
    positions_.push_back({std::move(rows), shape});
  }
}

const ShardProgram* ShardJobs::program_for(const ModelConfig& config, const ParameterLayout& layout,
                                           const ShardShape& shape, Pass pass, WeightLayout weights,
                                           HeadRows head) {
  for (const auto& program : programs_) {
    if (program->cuts().shape.sequences == shape.sequences) return program.get();
  }
  programs_.push_back(std::make_unique<ShardProgram>(config, layout, shape, pass, weights, head));
  return programs_.back().get();
}

std::size_t ShardJobs::shape_for(const std::vector<Row>& rows) {
  const auto same = [](const Row& a, const Row& b) {
    return a.program == b.program && a.shards == b.shards;
  };
  for (const Position& other : positions_) {
    if (std::equal(rows.begin(), rows.end(), other.rows.begin(), other.rows.end(), same)) {
      return other.shape;
    }
  }
  shapes_.push_back(plan_shape(rows));
  return shapes_.size() - 1;
}

// The second shard of a row leaves for the next one what the first left for it. All from the second
// on therefore wait for the same phases and form one lap. Where that does not hold, they are
// planned one by one.
ShardJobs::Shape ShardJobs::plan_shape(const std::vector<Row>& rows) {
  std::int32_t strands = 1;
  for (const Row& row : rows) strands = std::max(strands, most_strands(*row.program));
  Shape shape;
  PhaseOrder order;
  for (const Row& row : rows) {
    const std::int64_t all = row.program->cuts().shape.rows();
    for (int shard = 0; shard < row.shards; ++shard) {
      const std::int32_t first = order.phases(), left = row.shards - shard;
      std::int32_t met = first;
      const PhaseOrder::Pasts before = order.pasts();
      std::vector<PhasePlan> lap;
      for (const Phase& phase : row.program->phases()) {
        lap.push_back(
            {phase.tiles, order.add(phase.accesses), strand_of(phase.rows, all, strands)});
        met = std::min(met, order.earliest_met());
      }
      const bool again = shard > 0 && left > 1 && met >= first - row.phases &&
                         order.repeats(before, row.phases) && keeps_apart(lap, first);
      if (again) order.repeat(row.phases, left - 1);
      shape.laps.push_back({row.phases, again ? left : 1});
      std::move(lap.begin(), lap.end(), std::back_inserter(shape.phases));
      if (again) break;
    }
  }
  looks_ += order.looks();
  return shape;
}

void ShardJobs::lay_out(int position, JobPlan& job) const {
  const Shape& shape = shapes_[positions_[static_cast<std::size_t>(position)].shape];
  job.phases = shape.phases;
  job.laps = shape.laps;
}

}  // namespace cllm
