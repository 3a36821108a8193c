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
                             int active_workers, ExtraTiles extra)
    : plan_(plan),
      blocks_(static_cast<std::int32_t>(layout.trainables().blocks().size())),
      owned_(layout.trainables(), owners),
      extra_(extra),
      packings_(std::min(owned_.owners(), extra.packed)),
      folds_(std::min(owned_.owners(), extra.coupled)),
      gradient_buffers_(gradient_buffers_for(plan, active_workers)),
      workspaces_(workspaces_for(plan, active_workers)),
      recycles_(gradient_buffers_ < positions()),
      holders_(buffer_positions(positions(), plan.merges)),
      table_(list_jobs()),
      gradient_of_(plan.positions.size(), -1),
      free_gradients_(gradient_buffers_) {}

JobTable TrainSchedule::list_jobs() const {
  JobTable table;
  for (int p = 0; p < positions(); ++p) {
    JobRow row;
    row.index = p;
    row.by_root = true;  // the root finds it a buffer
    if (p >= workspaces_) row.after = {p - workspaces_};
    table.add(std::move(row));
  }
  for (std::size_t m = 0; m < plan_.merges.size(); ++m) {
    const MergePlan& merge = plan_.merges[m];
    JobRow row{JobKind::kMerge, static_cast<int>(m)};
    row.reports = recycles_;
    row.after.assign(merge.inputs, merge.inputs + merge.count);
    table.add(std::move(row));
  }
  for (const JobKind kind : {JobKind::kNorm, JobKind::kUpdate}) {
    for (int owner = 0; owner < owned_.owners(); ++owner) {
      JobRow row{kind, owner, owner};
      row.reports = true;
      row.by_root = kind == JobKind::kUpdate;
      if (kind == JobKind::kNorm && folds_ == 0) row.after = {last_node()};
      table.add(std::move(row));
    }
  }
  const auto open_positions_after = [&](int job) {
    for (int first_in_lane = 0; first_in_lane < workspaces_; ++first_in_lane) {
      table.wait(first_in_lane, job);
    }
  };
  for (int owner = 0; owner < packings_; ++owner) {
    JobRow row{JobKind::kPacking, owner, owner};
    row.by_root = folds_ == 0;
    open_positions_after(table.add(std::move(row)));
  }
  for (int owner = 0; owner < folds_; ++owner) {
    JobRow row{JobKind::kFold, owner, owner};
    row.by_root = true;
    const int fold = table.add(std::move(row));
    for (int p = 0; p < packings_; ++p) table.wait(table.first(JobKind::kPacking) + p, fold);
    if (packings_ == 0) open_positions_after(fold);
  }
  for (int owner = 0; owner < folds_; ++owner) {
    JobRow row{JobKind::kUnfold, owner, owner};
    row.after.push_back(last_node());
    const int unfold = table.add(std::move(row));
    for (int norm = 0; norm < table.count(JobKind::kNorm); ++norm) {
      table.wait(table.first(JobKind::kNorm) + norm, unfold);
    }
  }
  return table;
}

std::vector<JobPlan> TrainSchedule::jobs(const ShardJobs& shards) const {
  std::vector<JobPlan> plans = table_.plans();
  for (int job = 0; job < table_.size(); ++job) {
    const int index = table_[job].index;
    JobPlan& plan = plans[static_cast<std::size_t>(job)];
    const auto tiles = [&plan](std::int32_t count) { plan.phases = {{count, {}}}; };
    switch (table_[job].kind) {
      case JobKind::kPosition:
        shards.lay_out(index, plan);
        break;
      case JobKind::kMerge:
        tiles(blocks_);
        break;
      case JobKind::kNorm:
      case JobKind::kUpdate:
        tiles(owned_.count(index));
        break;
      case JobKind::kPacking:
        tiles(part(extra_.packed, packings_, index + 1) - part(extra_.packed, packings_, index));
        break;
      case JobKind::kFold:
      case JobKind::kUnfold:
        tiles(part(extra_.coupled, folds_, index + 1) - part(extra_.coupled, folds_, index));
        break;
    }
  }
  return plans;
}

void TrainSchedule::begin(Stage& stage) {
  if (next_position_ > 0) {  // until now the sum of the last step stays readable
    // It gives back all buffers, or only position 0's, which holds the sum, in an order in which
    // positions get the same buffers again.
    for (int p = recycles_ ? 0 : positions() - 1; p >= 0; --p) {
      free_gradients_.give(gradient_of_[static_cast<std::size_t>(p)]);
    }
  }
  next_position_ = norms_done_ = jobs_done_ = 0;
  if (folds_ > 0) {
    stage.arrive(table_.first(JobKind::kFold), folds_);
  } else {
    stage.arrive(table_.first(JobKind::kPacking), packings_);
  }
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
  if (kind(job) == JobKind::kMerge) {
    for (int i = 1; i < merge(job).count; ++i) {
      const int position = holders_[static_cast<std::size_t>(merge(job).inputs[i])];
      free_gradients_.give(gradient_of_[static_cast<std::size_t>(position)]);
    }
    open_positions(stage);
  } else if (kind(job) == JobKind::kNorm && ++norms_done_ == table_.count(JobKind::kNorm)) {
    decide();
    stage.arrive(table_.first(JobKind::kUpdate), table_.count(JobKind::kUpdate));
  }
  return ++jobs_done_ == table_.reporting();
}

}  // namespace cllm
