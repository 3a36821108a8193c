#include "train/evaluate_stage.h"

#include <algorithm>
#include <limits>

namespace cllm {
namespace {

/// At most 48 shards of about 1024 tokens: enough for many cores, little memory. It depends on
/// shapes only, so the order of the sum does too.
BatchPlan plan_round(std::int64_t windows, std::int64_t sequence) {
  constexpr std::int64_t kShards = 48, kRows = 1024;
  const std::int64_t per_shard = std::max<std::int64_t>(1, kRows / sequence);
  BatchPlan plan;
  plan.sequence = sequence;
  plan.batch = std::min(windows, kShards * per_shard);
  for (std::int64_t s = 0; s < plan.batch; s += per_shard) {
    plan.positions.push_back({static_cast<int>(plan.shards.size()), 1});
    plan.shards.push_back({s, std::min(per_shard, plan.batch - s)});
  }
  return plan;
}

int workspaces_for(const BatchPlan& plan, int active_workers) {
  return std::min(static_cast<int>(plan.shards.size()), active_workers + 1);
}

}  // namespace

EvaluateStage::EvaluateStage(EvaluationWindows windows, std::int64_t sequence, ModelState& state,
                             const WorkerPool& workers, SphereTree& tree)
    : windows_(windows),
      plan_(plan_round(windows.size(), sequence)),
      state_(state),
      workers_(workers),
      jobs_(state.config, state.layout, plan_, false),
      shard_loss_(plan_.shards.size(), 0.0),
      workspace_of_(plan_.shards.size(), -1),
      free_workspaces_(workspaces_for(plan_, tree.active_workers())),
      rounds_total_((windows.size() + plan_.batch - 1) / plan_.batch) {
  for (int i = 0; i < workspaces_for(plan_, tree.active_workers()); ++i) {
    workspaces_.emplace_back(state.config, ShardShape{plan_.largest_shard(), sequence}, false);
  }
  for (Round& round : rounds_) {
    round.inputs.resize(static_cast<std::size_t>(plan_.batch * sequence));
    round.targets.resize(round.inputs.size());
  }
  std::vector<JobPlan> jobs(plan_.positions.size());
  for (std::size_t p = 0; p < jobs.size(); ++p) {
    jobs[p].tiles = jobs_.tiles(static_cast<int>(p));
    jobs[p].reports = true;
  }
  TileRunner& runner = *this;
  stage_ = std::make_unique<Stage>(std::move(jobs), tree.worker_subtrees(), runner);
}

double EvaluateStage::run(SphereTree& tree, const std::function<bool()>& stop) {
  double sum = 0;
  fill(0);
  for (round_ = 0; round_ < rounds_total_; ++round_) {
    if (stop && stop()) return std::numeric_limits<double>::quiet_NaN();
    tree.run(*stage_, *this);
    for (double loss : shard_loss_) sum += loss;
  }
  return sum / static_cast<double>(windows_.targets());
}

void EvaluateStage::fill(std::int64_t round) {
  Round& to = rounds_[round % 2];
  windows_.fill(round * plan_.batch, plan_.batch, to.inputs.data(), to.targets.data());
}

void EvaluateStage::meanwhile() {
  if (round_ + 1 < rounds_total_) fill(round_ + 1);
}

void EvaluateStage::run_tile(int worker, const TileClaim& claim) {
  const ShardJobs::Place& place = jobs_.place(claim.job, claim.phase);
  const auto shard = static_cast<std::size_t>(place.shard);
  const std::int64_t first_row = plan_.shards[shard].first_sequence * plan_.sequence;
  const Round& round = rounds_[round_ % 2];
  ShardData data{};
  data.parameters = state_.parameters.data();
  data.workspace = &workspaces_[static_cast<std::size_t>(workspace_of_[shard])];
  data.inputs = round.inputs.data() + first_row;
  data.targets = round.targets.data() + first_row;
  data.loss = &shard_loss_[shard];
  place.program->run(place.phase, claim.tile, data, workers_.context(worker));
}

void EvaluateStage::begin(Stage& stage) {
  next_shard_ = shards_done_ = 0;
  open_shards(stage);
}

void EvaluateStage::open_shards(Stage& stage) {
  const int shards = static_cast<int>(plan_.shards.size());
  while (next_shard_ < shards && !free_workspaces_.empty()) {
    workspace_of_[static_cast<std::size_t>(next_shard_)] = free_workspaces_.take();
    stage.arrive(next_shard_++);
  }
}

bool EvaluateStage::on_done(Stage& stage, int job) {
  free_workspaces_.give(workspace_of_[static_cast<std::size_t>(job)]);
  ++shards_done_;
  open_shards(stage);
  return shards_done_ == static_cast<int>(plan_.shards.size());
}

}  // namespace cllm
