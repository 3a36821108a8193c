#include "engine/train_stage.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace cllm {

TrainStage::TrainStage(const BatchPlan& plan, ModelState& state, const KernelTable& kernels,
                       const WorkerPool& workers, SphereTree& tree, Pass pass)
    : TrainSchedule(plan, state.layout, tree.owners(), tree.most_active_workers(),
                    state.extra_tiles()),
      plan_(plan),
      state_(state),
      kernels_(kernels),
      workers_(workers),
      jobs_(state.config, state.layout, plan, pass, state.weights(), state.head_rows),
      shard_loss_(plan.shards.size(), 0.0),
      norm_partial_(state.layout.trainables().blocks().size(), 0.0),
      in_order_(static_cast<std::size_t>(plan.batch)) {
  std::iota(in_order_.begin(), in_order_.end(), 0);
  const ShardShape largest{plan.largest_shard(), plan.sequence};
  const auto flat = static_cast<std::size_t>(state.layout.trainables().flat_size());
  for (int b = 0; b < gradient_buffers(); ++b) gradients_.emplace_back(flat);
  const std::size_t floats = Workspace::floats_for(state.layout, largest, pass, state.precision);
  const auto count = static_cast<std::size_t>(workspaces());
  workspace_memory_ = AlignedBuffer<float>(count * floats);
  for (std::size_t b = 0; b < count; ++b) {
    workspaces_.emplace_back(state.layout, largest, pass, state.precision,
                             workspace_memory_.data() + b * floats);
  }
  TileRunner& runner = *this;
  stage_ = std::make_unique<Stage>(jobs(jobs_), tree.owned_runs(), runner);
}

std::size_t TrainStage::bytes_for(const BatchPlan& plan, const ParameterLayout& layout,
                                  int active_workers, Precision precision, Pass pass) {
  const auto gradients = static_cast<std::size_t>(gradient_buffers_for(plan, active_workers)) *
                         static_cast<std::size_t>(layout.trainables().flat_size()) * sizeof(float);
  return gradients + workspace_bytes_for(plan, layout, active_workers, precision, pass);
}

std::size_t TrainStage::workspace_bytes_for(const BatchPlan& plan, const ParameterLayout& layout,
                                            int active_workers, Precision precision, Pass pass) {
  return static_cast<std::size_t>(workspaces_for(plan, active_workers)) *
         Workspace::bytes_for(layout, {plan.largest_shard(), plan.sequence}, pass, precision);
}

StepOutcome TrainStage::run(SphereTree& tree, const StepInput& input) {
  input_ = input;
  left_out_.store(false, std::memory_order_relaxed);
  if (input_.dropout.sequences == nullptr) input_.dropout.sequences = in_order_.data();
  tree.run(*stage_, *this);
  return outcome_;
}

float* TrainStage::buffer_of(int node) const noexcept {
  return const_cast<float*>(gradients_[static_cast<std::size_t>(gradient_of(node))].data());
}

const float* TrainStage::gradient() const noexcept { return buffer_of(last_node()); }

// -- workers ------------------------------------------------------------------------------------

void TrainStage::run_tile(int worker, const TileClaim& claim) {
  if (kind(claim.job) != JobKind::kUpdate && cancelled()) {
    left_out_.store(true, std::memory_order_relaxed);  // released to the root as the sums are
    return stage_->skip_rest(claim);
  }
  if (input_.instead_of_tile) return input_.instead_of_tile(worker, claim);
  switch (kind(claim.job)) {
    case JobKind::kPosition:
      return run_shard_tile(worker, claim);
    case JobKind::kMerge:
      return run_merge_tile(table()[claim.job].index, claim.tile);
    case JobKind::kPacking:
      return state_.pack(packed_tile(claim.job, claim.tile), Pass::kTraining, kernels_);
    case JobKind::kFold:
      return state_.lattice->fold(coupled_tile(claim.job, claim.tile), state_.parameters.data(),
                                  kernels_);
    case JobKind::kUnfold:
      return state_.lattice->unfold(coupled_tile(claim.job, claim.tile), state_.parameters.data(),
                                    gradient(), kernels_);
    case JobKind::kNorm:
      return run_norm_tile(block(claim.job, claim.tile));
    case JobKind::kUpdate:
      return run_update_tile(block(claim.job, claim.tile));
  }
}

void TrainStage::run_norm_tile(std::size_t index) {
  const TensorTable& trainables = state_.layout.trainables();
  const Block& block = trainables.blocks()[index];
  const TensorEntry& tensor = trainables.tensors()[static_cast<std::size_t>(block.tensor)];
  if (tensor.coupling) state_.lattice->sum_parts(buffer_of(last_node()));
  const bool trains =
      input_.optimizer == nullptr ? !tensor.frozen : input_.optimizer->trains(tensor);
  norm_partial_[index] =
      trains ? norm_partial(kernels_, block, state_.trained_gradient(block.tensor, gradient())) : 0;
}

void TrainStage::run_update_tile(std::size_t index) {
  if (!updates_) return;
  const TensorTable& trainables = state_.layout.trainables();
  const Block& block = trainables.blocks()[index];
  input_.optimizer->run(kernels_, trainables, block,
                        state_.trained_gradient(block.tensor, gradient()),
                        state_.trained(block.tensor), state_.state_pointers.data());
}

void TrainStage::run_shard_tile(int worker, const TileClaim& claim) {
  const ShardJobs::Place place = jobs_.place(claim.job, claim.phase);
  const ShardPlan& shard = plan_.shards[static_cast<std::size_t>(place.shard)];
  const auto position = static_cast<std::size_t>(table()[claim.job].index);
  const std::int64_t first_row = shard.first_sequence * plan_.sequence;
  ShardData data;
  data.parameters = state_.parameters.data();
  data.gradient = buffer_of(claim.job);
  data.workspace = &workspaces_[static_cast<std::size_t>(workspace_of(claim.job))];
  data.rows = input_.rows.from(first_row);
  data.accumulate = place.shard != plan_.positions[position].first_shard;
  data.loss_scale = static_cast<float>(1.0 / static_cast<double>(input_.counted));
  data.loss = &shard_loss_[static_cast<std::size_t>(place.shard)];
  data.packed = state_.packed.get();
  data.matrices = state_.matrices.data();
  if (state_.config.dropout.any() || state_.layout.adapter_dropout() > 0) {
    data.dropout = &input_.dropout;
  }
  data.first_sequence = shard.first_sequence;
  data.adapters = state_.adapters.data();
  place.program->run(place.phase, claim.tile, data, workers_.context(worker));
}

void TrainStage::run_merge_tile(int merge, std::int32_t tile) {
  const MergePlan& plan = plan_.merges[static_cast<std::size_t>(merge)];
  const float* sources[3];
  for (int i = 0; i < plan.count; ++i) sources[i] = buffer_of(plan.inputs[i]);
  merge_block(kernels_, state_.layout.trainables().blocks()[static_cast<std::size_t>(tile)],
              {sources, static_cast<std::size_t>(plan.count)}, buffer_of(plan.inputs[0]));
}

// -- root ---------------------------------------------------------------------------------------

void TrainStage::meanwhile() {
  outcome_.waited = false;
  if (!input_.meanwhile) return;
  input_.meanwhile();
  outcome_.waited = stage_->rests();
}

bool TrainStage::cancelled() const noexcept {
  return input_.cancel != nullptr && input_.cancel->load(std::memory_order_relaxed);
}

// The flag may have been cleared since a tile was left out, and may be set from here on.
void TrainStage::decide() {
  outcome_.cancelled = cancelled() || left_out_.load(std::memory_order_relaxed);
  if (outcome_.cancelled) {
    updates_ = outcome_.skipped = false;
    outcome_.counted = 0;
    outcome_.loss = outcome_.gradient_norm = std::numeric_limits<double>::quiet_NaN();
    return;
  }
  outcome_.counted = input_.counted;
  state_.is_packed = state_.packed && state_.layout.adapted() && !input_.instead_of_tile;
  double loss = 0;
  for (double l : shard_loss_) loss += l;
  outcome_.loss = loss / static_cast<double>(input_.counted);
  outcome_.gradient_norm = global_norm(norm_partial_);
  outcome_.skipped = !std::isfinite(outcome_.loss) || !std::isfinite(outcome_.gradient_norm);
  updates_ = input_.optimizer != nullptr && !outcome_.skipped;
  if (!updates_) return;
  ++state_.updates;
  input_.optimizer->begin(state_.updates, input_.learning_rate,
                          clip_scale(outcome_.gradient_norm, input_.clip));
}

}  // namespace cllm
