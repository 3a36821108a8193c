// The schedule of a training step has tiles without their arithmetic: how long each takes relative
// to the others, and the least time that all of them can take.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "forecast/schedule_play.h"
#include "spheres/laps.h"
#include "tile_costs.h"

namespace cllm {

struct ScheduleCase {
  std::int64_t layers, heads, width, sequence, vocabulary, batch, positions;
};

/// Holds a number for every tile of a step.
using TileTable = std::vector<std::vector<std::vector<double>>>;  // [job][phase][tile]
inline double& at(TileTable& table, const TileClaim& claim) {
  return table[static_cast<std::size_t>(claim.job)][static_cast<std::size_t>(claim.phase)]
              [static_cast<std::size_t>(claim.tile)];
}

/// Holds the jobs of a step for a number of workers, by the schedule's own plan.
class StepSchedule {
 public:
  StepSchedule(const ScheduleCase& c, std::int64_t workers)
      : model(model_of(c)),
        batch(plan_of(c)),
        layout(model),
        packed_tiles(packed_tiles_of(c)),
        shards(model, layout, batch, Pass::kTraining,
               packed_tiles > 0 ? WeightLayout::kPacked : WeightLayout::kPlain),
        tree(plan_tree(threads_for_workers(workers, model.symmetry_order), model.symmetry_order)),
        schedule(batch, layout, tree.owners(workers), static_cast<int>(workers), {packed_tiles, 0}),
        jobs(unrolled_jobs()) {
    for (int j = 0; j < static_cast<int>(jobs.size()); ++j) {
      const JobPlan& job = jobs[static_cast<std::size_t>(j)];
      costs.emplace_back();
      for (std::int32_t p = 0; p < static_cast<std::int32_t>(job.phases.size()); ++p) {
        costs.back().emplace_back();
        for (std::int32_t t = 0; t < job.phases[static_cast<std::size_t>(p)].tiles; ++t) {
          costs.back().back().push_back(cost_of({j, p, t}));
          work += costs.back().back().back();
          ++tiles;
        }
      }
    }
  }

  /// Returns the least time in which the workers can run tiles that take these times: the larger of
  /// all work divided evenly and the longest path through the phases. A phase takes at least its
  /// longest tile, and at least its own work divided evenly.
  double ideal(const TileTable& times) const {
    const auto workers = static_cast<double>(tree.workers.size());
    double all = 0, longest = 0, norms = 0;
    std::vector<double> begin(jobs.size(), 0.0);
    // Packings come first; all other successors have higher numbers.
    std::vector<std::size_t> order(jobs.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::rotate(order.begin(), order.begin() + schedule.table().first(JobKind::kPacking),
                order.end());
    for (const std::size_t j : order) {
      const auto kind = schedule.kind(static_cast<int>(j));
      if (kind == JobKind::kUpdate) begin[j] = norms;
      double end = 0;
      std::vector<double> phase_end;
      for (std::size_t p = 0; p < times[j].size(); ++p) {
        double sum = 0, most = 0, from = begin[j];
        for (double t : times[j][p]) {
          sum += t;
          most = std::max(most, t);
        }
        all += sum;
        for (std::int32_t b : jobs[j].phases[p].after) {
          from = std::max(from, phase_end[static_cast<std::size_t>(b)]);
        }
        phase_end.push_back(from + std::max(most, sum / workers));
        end = std::max(end, phase_end.back());
      }
      for (std::int32_t next : jobs[j].successors) {
        begin[static_cast<std::size_t>(next)] =
            std::max(begin[static_cast<std::size_t>(next)], end);
      }
      if (kind == JobKind::kNorm) norms = std::max(norms, end);
      longest = std::max(longest, end);
    }
    return std::max(longest, all / workers);
  }

 private:
  /// Lists every phase as often as it comes.
  std::vector<JobPlan> unrolled_jobs() const {
    std::vector<JobPlan> all = schedule.jobs(shards);
    for (JobPlan& job : all) {
      job.phases = unrolled(job);
      job.laps.clear();
    }
    return all;
  }
  static ModelConfig model_of(const ScheduleCase& c) {
    return {c.layers, c.heads, c.width, c.sequence, c.vocabulary};
  }
  static BatchPlan plan_of(const ScheduleCase& c) {
    BatchShape shape;
    shape.batch = c.batch;
    shape.sequence = c.sequence;
    shape.positions = c.positions;
    return plan_batch(shape);
  }

  double cost_of(const TileClaim& claim) const {
    const auto elements = [this](std::size_t block) {
      return static_cast<double>(layout.trainables().blocks()[block].size);
    };
    switch (schedule.kind(claim.job)) {
      case JobKind::kPosition: {
        const ShardJobs::Place place = shards.place(claim.job, claim.phase);
        return TileCosts::of(*place.program, place.phase, claim.tile);
      }
      case JobKind::kMerge:
        return 4.0 * schedule.sources(claim.job) * elements(static_cast<std::size_t>(claim.tile));
      case JobKind::kNorm:
        return 2.0 * elements(schedule.block(claim.job, claim.tile));
      case JobKind::kUpdate:
        return 30.0 * elements(schedule.block(claim.job, claim.tile));
      case JobKind::kPacking:
        return 8.0 * static_cast<double>(PackedWeights::kTileNumbers);
      case JobKind::kFold:
      case JobKind::kUnfold:
        break;  // these models are not coupled
    }
    return 0;
  }
  std::int32_t packed_tiles_of(const ScheduleCase& c) const {
    return PackedWeights::pays(layout, Precision::kFp32, c.batch * c.sequence)
               ? PackedWeights::tiles_for(layout, Precision::kFp32)
               : 0;
  }

 public:
  const ModelConfig model;
  const BatchPlan batch;
  const ParameterLayout layout;
  const std::int32_t packed_tiles;  ///< 0: weights are not packed
  const ShardJobs shards;
  const TreePlan tree;
  TrainSchedule schedule;
  const std::vector<JobPlan> jobs;
  TileTable costs;
  double work = 0;  ///< sum of all costs
  std::size_t tiles = 0;
};

}  // namespace cllm
