#include "engine/forward_stage.h"

#include <algorithm>

namespace cllm {
namespace {

constexpr std::int64_t kShards = 48, kRows = 1024;

/// Returns how many workspaces there are for a number of workers. A shard holds whole sequences, so
/// those of a long context are large; several workers then share one, and all of them together
/// have at most four times the rows that each worker has where sequences are short.
int workspaces_of(int active_workers, std::int64_t rows) {
  const std::int64_t fit = 4 * kRows * active_workers / rows;
  return static_cast<int>(std::clamp<std::int64_t>(fit, 1, active_workers));
}

}  // namespace

std::int64_t ForwardStage::shard_sequences(std::int64_t length) {
  return std::max<std::int64_t>(1, kRows / length);
}

std::int64_t ForwardStage::most_sequences(std::int64_t length) {
  return kShards * shard_sequences(length);
}

BatchPlan ForwardStage::plan(std::int64_t sequences, std::int64_t length) {
  const std::int64_t per_shard = shard_sequences(length);
  BatchPlan plan;
  plan.sequence = length;
  plan.batch = sequences;
  for (std::int64_t s = 0; s < sequences; s += per_shard) {
    plan.positions.push_back({static_cast<int>(plan.shards.size()), 1});
    plan.shards.push_back({s, std::min(per_shard, sequences - s)});
  }
  return plan;
}

ForwardStage::Workspaces ForwardStage::workspaces_for(const BatchPlan& plan,
                                                      const ParameterLayout& layout,
                                                      Precision precision, int active_workers,
                                                      std::size_t spare_floats) {
  const std::size_t floats = Workspace::floats_for(layout, {plan.largest_shard(), plan.sequence},
                                                   Pass::kForward, precision);
  const std::int64_t rows = plan.largest_shard() * plan.sequence;
  const int wanted =
      std::min(static_cast<int>(plan.shards.size()), workspaces_of(active_workers, rows));
  const auto fit = static_cast<int>(std::min<std::size_t>(spare_floats / floats, kShards));
  if (spare_floats > 0 && fit == 0) return {1, floats, false};  // a team can work in one
  return {fit > 0 ? std::min(fit, wanted) : wanted, floats, fit > 0};
}

std::size_t ForwardStage::bytes_for(const ParameterLayout& layout, std::int64_t sequences,
                                    std::int64_t length, int active_workers, Precision precision,
                                    std::size_t spare) {
  const Workspaces w = workspaces_for(plan(sequences, length), layout, precision, active_workers,
                                      spare / sizeof(float));
  return w.in_spare ? 0 : static_cast<std::size_t>(w.count) * w.floats * sizeof(float);
}

ForwardStage::ForwardStage(std::int64_t sequences, std::int64_t length, ModelState& state,
                           const WorkerPool& workers, SphereTree& tree, Span<float> spare)
    : plan_(plan(sequences, length)),
      state_(state),
      workers_(workers),
      jobs_(state.config, state.layout, plan_, Pass::kForward, state.weights(), state.head_rows),
      no_targets_(static_cast<std::size_t>(plan_.largest_shard() * length), -1),
      shard_loss_(plan_.shards.size(), 0.0) {
  const Workspaces w = workspaces_for(plan_, state.layout, state.precision,
                                      tree.most_active_workers(), spare.size());
  const auto count = static_cast<std::size_t>(w.count);
  if (!w.in_spare) {
    own_memory_ = AlignedBuffer<float>(count * w.floats);
    spare = own_memory_.span();
  }
  for (std::size_t i = 0; i < count; ++i) {
    workspaces_.emplace_back(state.layout, ShardShape{plan_.largest_shard(), length},
                             Pass::kForward, state.precision, spare.data() + i * w.floats);
  }
  std::vector<JobPlan> jobs(plan_.positions.size());
  for (std::size_t p = 0; p < jobs.size(); ++p) {
    jobs_.lay_out(static_cast<int>(p), jobs[p]);
    jobs[p].reports = static_cast<int>(p) + lanes() >= shards();  // the last in its lane
    jobs[p].arrivals = static_cast<int>(p) < lanes() ? 1 : 0;     // the root's
  }
  chain_lanes(jobs, shards(), lanes());
  if (state_.packed) {  // the last job; the shards wait for it
    JobPlan& packing = jobs.emplace_back();
    packing.phases = {{state_.packed->tiles(), {}}};
    packing.reports = true;
  }
  TileRunner& runner = *this;
  stage_ = std::make_unique<Stage>(std::move(jobs), tree.owned_runs(), runner);
}

bool ForwardStage::run(SphereTree& tree, const ForwardInput& input) {
  input_ = input;
  left_out_.store(false, std::memory_order_relaxed);
  tree.run(*stage_, *this);
  return !left_out_.load(std::memory_order_relaxed);
}

void ForwardStage::run_tile(int worker, const TileClaim& claim) {
  if (input_.cancel != nullptr && input_.cancel->load(std::memory_order_relaxed)) {
    left_out_.store(true, std::memory_order_relaxed);  // the job's end releases it to the root
    return stage_->skip_rest(claim);
  }
  const WorkerContext& context = workers_.context(worker);
  if (claim.job == shards()) return state_.pack(claim.tile, Pass::kForward, *context.kernels);
  const ShardJobs::Place place = jobs_.place(claim.job, claim.phase);
  const auto shard = static_cast<std::size_t>(place.shard);
  const std::int64_t first_row = plan_.shards[shard].first_sequence * plan_.sequence;
  ShardData data{};
  data.parameters = state_.parameters.data();
  data.workspace = &workspaces_[static_cast<std::size_t>(lane_of(claim.job, lanes()))];
  data.rows = input_.rows.from(first_row);
  if (data.rows.targets == nullptr) data.rows.targets = no_targets_.data();
  data.loss = &shard_loss_[shard];
  if (input_.logits != nullptr) {
    data.all_logits = input_.logits + first_row * state_.config.vocabulary;
  }
  data.packed = state_.packed.get();
  data.matrices = state_.matrices.data();
  data.adapters = state_.adapters.data();
  place.program->run(place.phase, claim.tile, data, context);
}

void ForwardStage::meanwhile() {
  if (input_.meanwhile) input_.meanwhile();
}

void ForwardStage::begin(Stage& stage) {
  lanes_done_ = 0;
  if (state_.packed) {
    stage.arrive(shards());
  } else {
    open_lanes(stage);
  }
}

void ForwardStage::open_lanes(Stage& stage) { stage.arrive(0, lanes()); }

bool ForwardStage::on_done(Stage& stage, int job) {
  if (job == shards()) {
    open_lanes(stage);
  } else {
    ++lanes_done_;
  }
  return lanes_done_ == lanes();
}

}  // namespace cllm
