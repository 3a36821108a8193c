#include "train/train_schedule.h"

#include <algorithm>

#include "reduce/reduce.h"

namespace cllm {

int TrainSchedule::gradient_buffers_for(const BatchPlan& plan, int active_workers) {
  return pool_size(static_cast<int>(plan.positions.size()), active_workers);
}

int TrainSchedule::workspaces_for(const BatchPlan& plan, int active_workers) {
  return std::min(static_cast<int>(plan.positions.size()), active_workers);
}

TrainSchedule::TrainSchedule(const BatchPlan& plan, const ParameterLayout& layout, int subtrees,
                             int active_workers, std::int32_t packing_tiles)
    : plan_(plan),
      blocks_(static_cast<std::int32_t>(layout.blocks().size())),
      packing_tiles_(packing_tiles),
      owners_(std::min(subtrees, static_cast<int>(blocks_))),
      gradient_buffers_(gradient_buffers_for(plan, active_workers)),
      workspaces_(workspaces_for(plan, active_workers)),
      recycles_(gradient_buffers_ < positions()),
      holders_(buffer_positions(positions(), plan.merges)),
      gradient_of_(plan.positions.size(), -1),
      free_gradients_(gradient_buffers_) {}

std::vector<JobPlan> TrainSchedule::jobs(const ShardJobs& shards) const {
  std::vector<JobPlan> jobs(static_cast<std::size_t>(first_update() + owners_));
  std::vector<std::int32_t> norms;
  for (int s = 0; s < owners_; ++s) norms.push_back(first_norm() + s);

  for (int node = 0; node < first_norm(); ++node) {  // positions and merges: nodes of the tree
    JobPlan& job = jobs[static_cast<std::size_t>(node)];
    job.reports = node >= positions() && recycles_;
    job.successors = norms;  // of the last node; the others are told below
    if (node < positions()) {
      job.phases = shards.phases(node);
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
  for (int s = 0; s < owners_; ++s) {
    const std::int32_t owned = blocks_ / owners_ + (s < blocks_ % owners_ ? 1 : 0);
    for (int first : {first_norm(), first_update()}) {
      JobPlan& job = jobs[static_cast<std::size_t>(first + s)];
      job.phases = {{owned, {}}};
      job.reports = true;
      job.subtree = s;
    }
  }
  if (packing_tiles_ > 0) {
    JobPlan& job = jobs.emplace_back();
    job.phases = {{packing_tiles_, {}}};
    job.reports = true;
  }
  return jobs;
}

void TrainSchedule::begin(Stage& stage) {
  if (next_position_ > 0) {  // the sum of the last step stays readable until now
    free_gradients_.give(gradient_of_[static_cast<std::size_t>(holders_.back())]);
    for (int p = 0; p < positions() && !recycles_; ++p) {
      if (p != holders_.back()) free_gradients_.give(gradient_of_[static_cast<std::size_t>(p)]);
    }
  }
  next_position_ = norms_done_ = jobs_done_ = 0;
  if (packing_tiles_ > 0) {
    stage.arrive(packing());
  } else {
    open_positions(stage);
  }
}

void TrainSchedule::open_positions(Stage& stage) {
  while (next_position_ < positions() && !free_gradients_.empty()) {
    gradient_of_[static_cast<std::size_t>(next_position_)] = free_gradients_.take();
    stage.arrive(next_position_++);
  }
}

bool TrainSchedule::on_done(Stage& stage, int job) {
  if (job < first_norm()) {
    const MergePlan& merge = plan_.merges[static_cast<std::size_t>(job - positions())];
    for (int i = 1; i < merge.count; ++i) {
      const int position = holders_[static_cast<std::size_t>(merge.inputs[i])];
      free_gradients_.give(gradient_of_[static_cast<std::size_t>(position)]);
    }
    open_positions(stage);
  } else if (job == packing()) {
    open_positions(stage);
  } else if (job < first_update()) {
    if (++norms_done_ == owners_) {
      decide();
      for (int s = 0; s < owners_; ++s) stage.arrive(first_update() + s);
    }
  }
  return ++jobs_done_ == stage.jobs() - positions() - (recycles_ ? 0 : merges());
}

}  // namespace cllm
