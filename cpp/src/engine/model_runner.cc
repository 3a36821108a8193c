#include "engine/model_runner.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "cllm/error.h"
#include "cpu/allowance.h"
#include "cpu/features.h"
#include "cpu/placement.h"
#include "engine/forward_stage.h"
#include "engine/session.h"
#include "engine/train_stage.h"

namespace cllm {
namespace {

void check_memory(std::size_t bytes) {
  const double limit = memory_limit_bytes();
  if (static_cast<double>(bytes) <= limit) return;
  throw InputError(
      {"the arrays do not fit in memory", std::to_string(bytes >> 20) + " MiB",
       "at most " + std::to_string(static_cast<std::int64_t>(limit / 1048576)) + " MiB",
       "memory plan", "fewer sequences at once"});
}

}  // namespace

/// Holds the threads and what is made for one shape.
struct ModelRunner::Crew {
  Crew(ModelState& state, std::int64_t workers, const BatchPlan& plan, bool training)
      : sequences(plan.batch), length(plan.sequence) {
    const ModelConfig& config = state.config;
    const auto count = static_cast<int>(workers);
    const Allowance ours = allowance();
    const int active = std::min(count, ours.most_workers());
    check_memory(training ? TrainStage::bytes_for(plan, state.layout, active)
                          : ForwardStage::bytes_for(state.layout, sequences, length, active));
    const std::int64_t shard =
        training ? plan.largest_shard() : ForwardStage::shard_sequences(length);
    const TreePlan plan_of_tree =
        plan_tree(threads_for_workers(workers, config.symmetry_order), config.symmetry_order);
    pool = std::make_unique<WorkerPool>(
        count, default_gemm_backend(), kernels(),
        ShardProgram::worker_scratch_floats(state.layout, {shard, length}, kernels()),
        plan_placement(ours, plan_of_tree, active).worker_cpus);
    TreeOptions options;
    options.cores = ours.most_workers();
    options.cpus = ours.ids();
    options.prepare_worker = [this](int worker) { pool->prepare(worker); };
    tree = std::make_unique<SphereTree>(plan_of_tree, options);
    if (training) {
      train = std::make_unique<TrainStage>(plan, state, kernels(), *pool, *tree);
    } else {
      forward = std::make_unique<ForwardStage>(sequences, length, state, *pool, *tree);
    }
  }

  const std::int64_t sequences, length;
  std::unique_ptr<WorkerPool> pool;
  std::unique_ptr<TrainStage> train;
  std::unique_ptr<ForwardStage> forward;
  std::unique_ptr<SphereTree> tree;  // destroyed first: its threads may look at the stages
};

ModelRunner::ModelRunner(ModelState& state, std::int64_t workers)
    : state_(state), workers_(workers > 0 ? workers : allowance().physical_workers()) {}
ModelRunner::~ModelRunner() = default;

ModelRunner::Crew& ModelRunner::crew(std::unique_ptr<Crew>& last, std::int64_t sequences,
                                     std::int64_t length, bool training) {
  if (last && last->sequences == sequences && last->length == length) return *last;
  last.reset();  // before the next one is made, so that only one takes memory
  BatchPlan plan;
  if (training) {
    plan = plan_session_batch(state_.layout, sequences, length, 0);
  } else {
    plan.batch = sequences;
    plan.sequence = length;
  }
  last = std::make_unique<Crew>(state_, workers_, plan, training);
  return *last;
}

void ModelRunner::logits(const TokenArray& tokens, float* logits) {
  const std::int64_t most = ForwardStage::most_sequences(tokens.length);
  for (std::int64_t first = 0; first < tokens.sequences; first += most) {
    const std::int64_t sequences = std::min(most, tokens.sequences - first);
    Crew& c = crew(forward_, sequences, tokens.length, false);
    ForwardInput input{{tokens.data + first * tokens.length}};
    input.logits = logits + first * tokens.length * state_.config.vocabulary;
    try {
      c.forward->run(*c.tree, input);
    } catch (...) {
      forward_.reset();  // a tree that failed runs nothing more
      throw;
    }
  }
}

double ModelRunner::loss_sum(const EvaluationRows& rows, std::int64_t length,
                             const std::function<bool()>& stop) {
  const std::int64_t round = std::min(rows.size(), ForwardStage::most_sequences(length));
  std::vector<std::int32_t> inputs(static_cast<std::size_t>(round * length));
  std::vector<std::int32_t> targets(inputs.size());
  std::vector<std::int32_t> first_keys(rows.has_documents() ? inputs.size() : 0);
  const RowsToFill to{inputs.data(), targets.data(),
                      rows.has_documents() ? first_keys.data() : nullptr};
  Crew& c = crew(forward_, round, length, false);
  double sum = 0;
  for (std::int64_t first = 0; first < rows.size(); first += round) {
    if (stop && stop()) return std::numeric_limits<double>::quiet_NaN();
    rows.fill(first, round, to);
    try {
      c.forward->run(*c.tree, {{to.inputs, to.targets, to.first_keys}});
    } catch (...) {
      forward_.reset();
      throw;
    }
    for (const double loss : c.forward->shard_losses()) sum += loss;
  }
  return sum;
}

ModelRunner::Gradient ModelRunner::gradient(const TokenRows& rows, std::int64_t sequences,
                                            std::int64_t length) {
  Crew& c = crew(training_, sequences, length, true);
  StepInput input{};
  input.rows = rows;
  input.counted = count_targets(rows.targets, sequences * length);
  try {
    const double loss = c.train->run(*c.tree, input).loss;
    return {loss, c.train->gradient()};
  } catch (...) {
    training_.reset();
    throw;
  }
}

}  // namespace cllm
