#include "train/train_stage.h"

#include <algorithm>
#include <cmath>

namespace cllm {

TrainStage::TrainStage(const BatchPlan& plan, ModelState& state, const KernelTable& kernels,
                       const WorkerPool& workers, SphereTree& tree)
    : plan_(plan),
      state_(state),
      kernels_(kernels),
      workers_(workers),
      jobs_(state.config, state.layout, plan, true),
      owners_(std::min(tree.plan().subtrees, static_cast<int>(state.layout.blocks().size()))),
      recycles_(pool_size(positions(), tree.most_active_workers()) < positions()),
      holders_(buffer_positions(positions(), plan.merges)),
      gradient_of_(plan.positions.size(), -1),
      workspace_of_(plan.positions.size(), -1),
      shard_loss_(plan.shards.size(), 0.0),
      norm_partial_(state.layout.blocks().size(), 0.0),
      free_gradients_(pool_size(positions(), tree.most_active_workers())),
      free_workspaces_(workspaces_for(plan, tree.most_active_workers())) {
  const ShardShape largest{plan.largest_shard(), plan.sequence};
  const auto flat = static_cast<std::size_t>(state.layout.flat_size());
  for (int b = 0; b < pool_size(positions(), tree.most_active_workers()); ++b) {
    gradients_.emplace_back(flat);
  }
  for (int b = 0; b < workspaces_for(plan, tree.most_active_workers()); ++b) {
    workspaces_.emplace_back(state.config, largest, true, state.precision);
  }
  TileRunner& runner = *this;
  stage_ = std::make_unique<Stage>(plan_jobs(), tree.worker_subtrees(), runner);
}

// One more than can be worked on at once, so that who ends a position finds the next one open.
int TrainStage::workspaces_for(const BatchPlan& plan, int active_workers) {
  return std::min(static_cast<int>(plan.positions.size()), active_workers + 1);
}

std::size_t TrainStage::bytes_for(const BatchPlan& plan, const ModelConfig& config,
                                  const ParameterLayout& layout, int active_workers,
                                  Precision precision) {
  const int positions = static_cast<int>(plan.positions.size());
  const auto gradients = static_cast<std::size_t>(pool_size(positions, active_workers)) *
                         static_cast<std::size_t>(layout.flat_size()) * sizeof(float);
  const ShardShape largest{plan.largest_shard(), plan.sequence};
  return gradients + static_cast<std::size_t>(workspaces_for(plan, active_workers)) *
                         Workspace::bytes_for(config, largest, true, precision);
}

std::vector<JobPlan> TrainStage::plan_jobs() const {
  std::vector<JobPlan> jobs(static_cast<std::size_t>(first_update() + owners_));
  std::vector<std::int32_t> norms;
  for (int s = 0; s < owners_; ++s) norms.push_back(first_norm() + s);
  const auto blocks = static_cast<std::int32_t>(state_.layout.blocks().size());

  for (int node = 0; node < first_norm(); ++node) {  // positions and merges: nodes of the tree
    JobPlan& job = jobs[static_cast<std::size_t>(node)];
    job.reports = node < positions() || recycles_;
    job.successors = norms;  // of the last node; the others are told below
    if (node < positions()) {
      job.phases = jobs_.phases(node);
    } else {
      const MergePlan& merge = plan_.merges[static_cast<std::size_t>(node - positions())];
      job.phases = {{blocks, {}}};
      job.arrivals = merge.count;
      for (int i = 0; i < merge.count; ++i) {
        jobs[static_cast<std::size_t>(merge.inputs[i])].successors = {node};
      }
    }
  }
  for (int s = 0; s < owners_; ++s) {
    const std::int32_t owned = blocks / owners_ + (s < blocks % owners_ ? 1 : 0);
    for (int first : {first_norm(), first_update()}) {
      JobPlan& job = jobs[static_cast<std::size_t>(first + s)];
      job.phases = {{owned, {}}};
      job.reports = true;
      job.subtree = s;
    }
  }
  return jobs;
}

StepOutcome TrainStage::run(SphereTree& tree, const StepInput& input) {
  input_ = input;
  tree.run(*stage_, *this);
  return outcome_;
}

float* TrainStage::buffer_of(int node) const noexcept {
  const int position = holders_[static_cast<std::size_t>(node)];
  const int buffer = gradient_of_[static_cast<std::size_t>(position)];
  return const_cast<float*>(gradients_[static_cast<std::size_t>(buffer)].data());
}

const float* TrainStage::gradient() const noexcept { return buffer_of(first_norm() - 1); }

// -- workers ------------------------------------------------------------------------------------

void TrainStage::run_tile(int worker, const TileClaim& claim) {
  if (input_.instead_of_tile) return input_.instead_of_tile(worker, claim);
  if (claim.job < positions()) return run_shard_tile(worker, claim);
  if (claim.job < first_norm()) return run_merge_tile(claim.job - positions(), claim.tile);
  const bool update = claim.job >= first_update();
  const int owner = claim.job - (update ? first_update() : first_norm());
  const auto index = static_cast<std::size_t>(owner + claim.tile * owners_);
  const Block& block = state_.layout.blocks()[index];
  if (!update) {
    const bool frozen = state_.layout.tensors()[static_cast<std::size_t>(block.tensor)].frozen;
    norm_partial_[index] = frozen ? 0.0 : norm_partial(kernels_, block, gradient());
  } else if (updates_) {
    adamw_block(
        kernels_, state_.layout, block, adamw_, gradient(),
        {state_.parameters.data(), state_.first_moment.data(), state_.second_moment.data()});
  }
}

void TrainStage::run_shard_tile(int worker, const TileClaim& claim) {
  const ShardJobs::Place& place = jobs_.place(claim.job, claim.phase);
  const ShardPlan& shard = plan_.shards[static_cast<std::size_t>(place.shard)];
  const auto position = static_cast<std::size_t>(claim.job);
  const std::int64_t first_row = shard.first_sequence * plan_.sequence;
  ShardData data;
  data.parameters = state_.parameters.data();
  data.gradient = buffer_of(claim.job);
  data.workspace = &workspaces_[static_cast<std::size_t>(workspace_of_[position])];
  data.inputs = input_.inputs + first_row;
  data.targets = input_.targets + first_row;
  data.accumulate = place.shard != plan_.positions[position].first_shard;
  data.loss_scale = static_cast<float>(1.0 / static_cast<double>(plan_.batch * plan_.sequence));
  data.loss = &shard_loss_[static_cast<std::size_t>(place.shard)];
  place.program->run(place.phase, claim.tile, data, workers_.context(worker));
}

void TrainStage::run_merge_tile(int merge, std::int32_t tile) {
  const MergePlan& plan = plan_.merges[static_cast<std::size_t>(merge)];
  const float* sources[3];
  for (int i = 0; i < plan.count; ++i) sources[i] = buffer_of(plan.inputs[i]);
  merge_block(kernels_, state_.layout.blocks()[static_cast<std::size_t>(tile)],
              {sources, static_cast<std::size_t>(plan.count)}, buffer_of(plan.inputs[0]));
}

// -- root ---------------------------------------------------------------------------------------

void TrainStage::begin(Stage& stage) {
  if (next_position_ > 0) {  // the sum of the last step stays readable until now
    free_gradients_.give(gradient_of_[static_cast<std::size_t>(holders_.back())]);
    for (int p = 0; p < positions() && !recycles_; ++p) {
      if (p != holders_.back()) free_gradients_.give(gradient_of_[static_cast<std::size_t>(p)]);
    }
  }
  next_position_ = norms_done_ = jobs_done_ = 0;
  open_positions(stage);
}

void TrainStage::meanwhile() {
  if (input_.meanwhile) input_.meanwhile();
}

void TrainStage::open_positions(Stage& stage) {
  while (next_position_ < positions() && !free_gradients_.empty() && !free_workspaces_.empty()) {
    const auto position = static_cast<std::size_t>(next_position_);
    gradient_of_[position] = free_gradients_.take();
    workspace_of_[position] = free_workspaces_.take();
    stage.arrive(next_position_++);
  }
}

bool TrainStage::on_done(Stage& stage, int job) {
  if (job < first_norm()) {
    if (job < positions()) {
      free_workspaces_.give(workspace_of_[static_cast<std::size_t>(job)]);
    } else {
      const MergePlan& merge = plan_.merges[static_cast<std::size_t>(job - positions())];
      for (int i = 1; i < merge.count; ++i) {
        const int position = holders_[static_cast<std::size_t>(merge.inputs[i])];
        free_gradients_.give(gradient_of_[static_cast<std::size_t>(position)]);
      }
    }
    open_positions(stage);
  } else if (job < first_update()) {
    if (++norms_done_ == owners_) {
      decide();
      for (int s = 0; s < owners_; ++s) stage.arrive(first_update() + s);
    }
  }
  return ++jobs_done_ == stage.jobs() - (recycles_ ? 0 : merges());
}

void TrainStage::decide() {
  double loss = 0;
  for (double l : shard_loss_) loss += l;
  outcome_.loss = loss / static_cast<double>(plan_.batch * plan_.sequence);
  outcome_.gradient_norm = global_norm(norm_partial_);
  outcome_.skipped = !std::isfinite(outcome_.loss) || !std::isfinite(outcome_.gradient_norm);
  updates_ = input_.update && !outcome_.skipped;
  if (!updates_) return;
  ++state_.updates;
  adamw_ = adamw_args(input_.adamw, state_.updates, input_.learning_rate,
                      clip_scale(outcome_.gradient_norm, input_.clip));
}

}  // namespace cllm
