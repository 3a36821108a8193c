#include "engine/train_schedule.h"

#include <algorithm>

#include "reduce/reduce.h"

namespace cllm {

int TrainSchedule::gradient_buffers_for(const BatchPlan& plan, int active_workers) {
  return pool_size(static_cast<int>(plan.positions.size()), active_workers);
}

int TrainSchedule::workspaces_for(const BatchPlan& plan, int active_workers) {
  return std::min(static_cast<int>(plan.positions.size()), active_workers);
}

TrainSchedule::TrainSchedule(const BatchPlan& plan, const ParameterLayout& layout, int owners,
                             int active_workers, std::int32_t packed_tiles)
    : plan_(plan),
      blocks_(static_cast<std::int32_t>(layout.blocks().size())),
      owned_(layout, owners),
      packed_tiles_(packed_tiles),
      packings_(std::min(owned_.owners(), packed_tiles)),
      gradient_buffers_(gradient_buffers_for(plan, active_workers)),
      workspaces_(workspaces_for(plan, active_workers)),
      recycles_(gradient_buffers_ < positions()),
      holders_(buffer_positions(positions(), plan.merges)),
      gradient_of_(plan.positions.size(), -1),
      free_gradients_(gradient_buffers_) {}

std::vector<JobPlan> TrainSchedule::jobs(const ShardJobs& shards) const {
  std::vector<JobPlan> jobs(static_cast<std::size_t>(first_packing() + packings_));
  std::vector<std::int32_t> norms;
  for (int norm = first_norm(); norm < first_update(); ++norm) norms.push_back(norm);

  for (int node = 0; node < first_norm(); ++node) {  // positions and merges: nodes of the tree
    JobPlan& job = jobs[static_cast<std::size_t>(node)];
    job.reports = node >= positions() && recycles_;
    job.successors = norms;  // of the last node; the others are told below
    if (node < positions()) {
      shards.lay_out(node, job);
    } else {
      const MergePlan& merge = plan_.merges[static_cast<std::size_t>(node - positions())];
      job.phases = {{blocks_, {}}};
      job.arrivals = merge.count;
      for (int i = 0; i < merge.count; ++i) {
        jobs[static_cast<std::size_t>(merge.inputs[i])].successors = {node};
      }
    }
  }
  chain_lanes(jobs, positions(), workspaces_);
  const auto own = [&jobs](int job, int owner, std::int32_t tiles) -> JobPlan& {
    JobPlan& plan = jobs[static_cast<std::size_t>(job)];
    plan.phases = {{tiles, {}}};
    plan.owner = owner;
    return plan;
  };
  for (int s = 0; s < owned_.owners(); ++s) {
    own(first_norm() + s, s, owned_.count(s)).reports = true;
    own(first_update() + s, s, owned_.count(s)).reports = true;
  }
  for (int s = 0; s < packings_; ++s) {
    JobPlan& packing = own(first_packing() + s, s, first_packed(s + 1) - first_packed(s));
    for (int first_in_lane = 0; first_in_lane < workspaces_; ++first_in_lane) {
      packing.successors.push_back(first_in_lane);
      ++jobs[static_cast<std::size_t>(first_in_lane)].arrivals;
    }
  }
  return jobs;
}

void TrainSchedule::begin(Stage& stage) {
  if (next_position_ > 0) {  // the sum of the last step stays readable until now
    // All, or position 0's, which holds the sum: so that positions get the same buffers again.
    for (int p = recycles_ ? 0 : positions() - 1; p >= 0; --p) {
      free_gradients_.give(gradient_of_[static_cast<std::size_t>(p)]);
    }
  }
  next_position_ = norms_done_ = jobs_done_ = 0;
  stage.arrive(first_packing(), packings_);
  open_positions(stage);
}

void TrainSchedule::open_positions(Stage& stage) {
  const int first = next_position_;
  while (next_position_ < positions() && !free_gradients_.empty()) {
    gradient_of_[static_cast<std::size_t>(next_position_++)] = free_gradients_.take();
  }
  stage.arrive(first, next_position_ - first);
}

bool TrainSchedule::on_done(Stage& stage, int job) {
  if (job < first_norm()) {
    const MergePlan& merge = plan_.merges[static_cast<std::size_t>(job - positions())];
    for (int i = 1; i < merge.count; ++i) {
      const int position = holders_[static_cast<std::size_t>(merge.inputs[i])];
      free_gradients_.give(gradient_of_[static_cast<std::size_t>(position)]);
    }
    open_positions(stage);
  } else if (job < first_update()) {
    if (++norms_done_ == owned_.owners()) {
      decide();
      stage.arrive(first_update(), owned_.owners());
    }
  }
  return ++jobs_done_ == 2 * owned_.owners() + (recycles_ ? merges() : 0);
}

}  // namespace cllm
