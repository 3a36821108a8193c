#include "engine/session.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/clock.h"
#include "cpu/features.h"
#include "cpu/placement.h"

namespace cllm {
namespace {

TreeOptions with_workers(TreeOptions options, WorkerPool& workers) {
  options.prepare_worker = [&workers](int worker) { workers.prepare(worker); };
  return options;
}

int workers_of(const SessionConfig& config) {
  return static_cast<int>(count_workers(config.threads, config.model.symmetry_order));
}

std::vector<int> worker_cpus(const SessionConfig& config) {
  const TreePlan plan = plan_tree(config.threads, config.model.symmetry_order);
  return plan_placement(config.allowance, plan, config.active_workers()).worker_cpus;
}

std::shared_ptr<ModelState> make_state(const SessionConfig& config, const Optimizer& optimizer) {
  auto state =
      std::make_shared<ModelState>(config.model, optimizer.ranges().size(), config.precision,
                                   config.lattice, config.lora, config.base);
  state->head_rows = config.head_rows;
  if (packs_weights(config, state->layout)) {
    state->packed = std::make_unique<PackedWeights>(state->layout, config.precision);
  }
  return state;
}

int workers_to_tune(const SessionConfig& config) {
  return config.tune_workers ? config.active_workers() : 1;
}

/// Returns the outcome of a step that has nothing to compute.
StepOutcome step_without_targets(const std::function<void()>& meanwhile) {
  if (meanwhile) meanwhile();
  StepOutcome outcome{};
  outcome.loss = std::numeric_limits<double>::quiet_NaN();
  outcome.skipped = true;
  return outcome;
}

}  // namespace

Session::Crew::Crew(const SessionConfig& config, const BatchPlan& plan, ModelState& state)
    : workers(workers_of(config), config.gemm, kernels(), scratch_floats(config, plan),
              worker_cpus(config), config.time_products),
      tree(std::make_unique<SphereTree>(plan_tree(config.threads, config.model.symmetry_order),
                                        with_workers(config.tree, workers))) {
  train = std::make_shared<TrainStage>(plan, state, kernels(), workers, *tree, config.pass);
}

Session::Session(const SessionConfig& config)
    : config_(config),
      plan_(plan_session_batch(config)),
      optimizer_(make_optimizer(config)),
      state_(make_state(config, *optimizer_)),
      crew_(std::make_unique<Crew>(config_, plan_, *state_)),
      tuner_(workers_to_tune(config)) {
  if (count_nodes(config.allowance.cpus) < 2) return;  // all memory is equally near
  crew_->touch = std::make_unique<TouchStage>(*state_, *crew_->tree);
  crew_->touch->run(*crew_->tree);
}

void Session::resize(std::int64_t threads) {
  SessionConfig config = config_;
  config.threads = threads;
  config.tune_workers = false;
  crew_ = std::make_unique<Crew>(config, plan_, *state_);
  config_ = std::move(config);
  tuner_ = WorkerTuner(workers_to_tune(config_));
}

void Session::set_active(int workers) {
  SphereTree& tree = *crew_->tree;
  if (workers == tree.active_workers()) return;
  tree.set_active(workers);
  // Workers are pinned for one on each core; when fewer compute, they are not pinned.
  const std::vector<int>& bound = crew_->workers.cpus();
  for (std::size_t w = 0; w < bound.size(); ++w) {
    const bool all = workers == tree.most_active_workers();
    tree.allow_worker(static_cast<int>(w), all ? std::vector<int>{bound[w]} : tree.cpus());
  }
}

StepOutcome Session::step(std::int64_t step, const TokenRows& rows, std::function<void()> meanwhile,
                          const std::int64_t* sequences) {
  const std::int64_t counted = count_targets(rows.targets, plan_.batch * plan_.sequence);
  if (counted == 0) return step_without_targets(meanwhile);
  StepInput input;
  input.rows = rows;
  input.counted = counted;
  input.learning_rate = learning_rate(step);
  input.clip = config_.clip;
  input.optimizer = optimizer_.get();
  input.meanwhile = std::move(meanwhile);
  input.cancel = cancel_;
  input.dropout = {config_.seed, step, sequences};
  const std::uint64_t start = now_ns();
  const StepOutcome outcome = crew_->train->run(*crew_->tree, input);
  if (config_.tune_workers && !outcome.cancelled) {
    tuner_.took(1e-9 * static_cast<double>(now_ns() - start));
    set_active(tuner_.workers());
  }
  return outcome;
}

void Session::fold() noexcept {
  if (state_->lattice) state_->lattice->fold(state_->parameters.data(), kernels());
}

double Session::evaluate(const EvaluationRows& rows, const std::function<bool()>& stop) {
  fold();
  Crew& crew = *crew_;
  const std::int64_t round = EvaluateStage::round_of(rows, config_.sequence);
  std::unique_ptr<EvaluateStage>& stage = crew.evaluate[round];
  if (!stage) {
    stage = std::make_unique<EvaluateStage>(round, config_.sequence, *state_, crew.workers,
                                            *crew.tree, crew.train->workspace_memory());
  }
  return stage->run(*crew.tree, rows, stop, cancel_);
}

}  // namespace cllm
