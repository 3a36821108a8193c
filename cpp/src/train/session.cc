#include "train/session.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "cpu/placement.h"

namespace cllm {
namespace {

ShardShape largest_shard(const SessionConfig& config, const BatchPlan& plan) {
  // Evaluation cuts shards of its own, of about as many rows.
  return {std::max(plan.largest_shard(), ForwardStage::shard_sequences(config.sequence)),
          config.sequence};
}

std::size_t scratch_floats(const SessionConfig& config, const BatchPlan& plan) {
  return ShardProgram::worker_scratch_floats(config.model, largest_shard(config, plan), kernels(),
                                             config.precision);
}

TreeOptions with_workers(TreeOptions options, WorkerPool& workers) {
  options.prepare_worker = [&workers](int worker) { workers.prepare(worker); };
  return options;
}

BatchPlan plan_for(const SessionConfig& config) {
  return plan_session_batch(config.model, config.batch, config.sequence, config.positions);
}

int workers_of(const SessionConfig& config) {
  return static_cast<int>(count_workers(config.threads, config.model.symmetry_order));
}

std::vector<int> worker_cpus(const SessionConfig& config) {
  const TreePlan plan = plan_tree(config.threads, config.model.symmetry_order);
  return plan_placement(config.allowance, plan, config.active_workers()).worker_cpus;
}

std::shared_ptr<ModelState> make_state(const SessionConfig& config) {
  auto state = std::make_shared<ModelState>(config.model, true, config.precision);
  if (packs_weights(config, state->layout)) {
    state->packed = std::make_unique<PackedWeights>(config.model, state->layout, config.precision);
  }
  return state;
}

int workers_to_tune(const SessionConfig& config) {
  return config.tune_workers ? config.active_workers() : 1;
}

// Measured: a thread's stack and what the C library keeps for it; what oneDNN keeps for a thread.
constexpr std::size_t kThreadBytes = 64 << 10, kLibraryBytes = 4 << 20;

/// Step batches (as drawn, and two laid out), two rounds of evaluation, and the words and lists of
/// phases: about 60 a layer in each position, with two laps in seven places of 128 bytes.
std::size_t tables_bytes(const SessionConfig& config, const BatchPlan& plan, std::int64_t windows) {
  const std::int64_t pair = 2 * sizeof(std::int32_t), phases = 60 * config.model.layers;
  const std::int64_t tokens = 3 * config.batch * config.sequence + 2 * windows * config.sequence;
  const auto positions = static_cast<std::int64_t>(plan.positions.size());
  return static_cast<std::size_t>(tokens * pair + positions * phases * 7 * 128);
}

/// What the process had when it was first asked, before it made a session.
std::size_t program_bytes() {
  static const std::size_t bytes = [] {
    const Resident now = resident_memory();
    return static_cast<std::size_t>(now.own + now.files);
  }();
  return bytes;
}

}  // namespace

int SessionConfig::active_workers() const {
  const auto workers = static_cast<int>(count_workers(threads, model.symmetry_order));
  return tree.activate_all ? workers : std::min(workers, tree.cores);
}

std::int64_t flops_per_token(const ModelConfig& model, std::int64_t sequence) {
  const std::int64_t multiplying =
      model.vocabulary * model.width + model.layers * 12 * model.width * model.width;
  return 6 * multiplying + 6 * model.layers * model.width * sequence;
}

BatchPlan plan_session_batch(const ModelConfig& model, std::int64_t batch, std::int64_t sequence,
                             std::int64_t positions) {
  BatchShape shape;
  shape.batch = batch;
  shape.sequence = sequence;
  shape.parameters = ParameterLayout(model).parameters();
  shape.flops_per_token = flops_per_token(model, sequence);
  shape.symmetry_order = model.symmetry_order;
  shape.positions = positions;
  return plan_batch(shape);
}

bool packs_weights(const SessionConfig& config, const ParameterLayout& layout) {
  return config.gemm == GemmBackend::kNative &&
         (config.pack_always || PackedWeights::pays(config.model, layout, config.precision,
                                                    config.batch * config.sequence));
}

MemoryPlan plan_memory(const SessionConfig& config) {
  const ParameterLayout layout(config.model);
  const BatchPlan plan = plan_for(config);
  const int active = config.active_workers();
  const auto flat = static_cast<std::size_t>(layout.flat_size()) * sizeof(float);
  MemoryPlan memory{};
  memory.parameters = flat;
  memory.moments = 2 * flat;
  memory.activations_and_gradients =
      TrainStage::bytes_for(plan, config.model, layout, active, config.precision, config.pass);
  if (packs_weights(config, layout)) {
    memory.activations_and_gradients +=
        PackedWeights::bytes_for(config.model, layout, config.precision);
  }
  // Who stays parked touches a stack only.
  const auto computing = static_cast<std::size_t>(active);
  memory.workers =
      computing * sizeof(float) * (scratch_floats(config, plan) + kernels().gemm_scratch_floats) +
      static_cast<std::size_t>(config.threads) * kThreadBytes;
  if (config.gemm != GemmBackend::kNative) memory.workers += (computing + 1) * kLibraryBytes;
  const std::size_t spare =
      TrainStage::workspace_bytes_for(plan, config.model, active, config.precision, config.pass);
  const std::int64_t windows = ForwardStage::most_sequences(config.sequence);
  memory.evaluation = ForwardStage::bytes_for(config.model, windows, config.sequence, active,
                                              config.precision, spare);
  memory.tables = tables_bytes(config, plan, windows);
  memory.program = program_bytes();
  memory.saving = config.snapshot ? 3 * flat : 0;
  return memory;
}

Session::Crew::Crew(const SessionConfig& config, const BatchPlan& plan, ModelState& state)
    : workers(workers_of(config), config.gemm, kernels(), scratch_floats(config, plan),
              worker_cpus(config), config.time_products),
      tree(std::make_unique<SphereTree>(plan_tree(config.threads, config.model.symmetry_order),
                                        with_workers(config.tree, workers))) {
  train = std::make_shared<TrainStage>(plan, state, kernels(), workers, *tree, config.pass);
}

Session::Session(const SessionConfig& config)
    : config_(config),
      plan_(plan_for(config)),
      state_(make_state(config)),
      crew_(std::make_unique<Crew>(config_, plan_, *state_)),
      tuner_(workers_to_tune(config)) {
  if (count_nodes(config.allowance.cpus) < 2) return;  // memory is equally near to all
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
  // A worker for each core is what they were bound for; fewer are not bound.
  const std::vector<int>& bound = crew_->workers.cpus();
  for (std::size_t w = 0; w < bound.size(); ++w) {
    const bool all = workers == tree.most_active_workers();
    tree.allow_worker(static_cast<int>(w), all ? std::vector<int>{bound[w]} : tree.cpus());
  }
}

StepOutcome Session::step(std::int64_t step, const std::int32_t* inputs,
                          const std::int32_t* targets, std::function<void()> meanwhile,
                          const std::int64_t* sequences) {
  StepInput input;
  input.inputs = inputs;
  input.targets = targets;
  input.learning_rate = learning_rate(step);
  input.clip = config_.clip;
  input.adamw = config_.adamw;
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

double Session::evaluate(const EvaluationWindows& windows, const std::function<bool()>& stop) {
  Crew& crew = *crew_;
  if (!crew.evaluate) {
    crew.evaluate =
        std::make_unique<EvaluateStage>(windows, config_.sequence, *state_, crew.workers,
                                        *crew.tree, crew.train->workspace_memory());
  }
  return crew.evaluate->run(*crew.tree, stop, cancel_);
}

}  // namespace cllm
