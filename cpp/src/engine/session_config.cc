#include "engine/session_config.h"

#include <algorithm>

#include "cpu/features.h"
#include "engine/crew_size.h"
#include "engine/forward_stage.h"
#include "engine/lora_options.h"
#include "model/packed_weights.h"
#include "model/shard_program.h"

namespace cllm {
namespace {

ShardShape largest_shard(const SessionConfig& config, const BatchPlan& plan) {
  // Evaluation cuts its own shards, of about as many rows.
  return {std::max(plan.largest_shard(), ForwardStage::shard_sequences(config.sequence)),
          config.sequence};
}

}  // namespace

int SessionConfig::active_workers() const {
  const auto workers = static_cast<int>(count_workers(threads, model.symmetry_order));
  return tree.activate_all ? workers : std::min(workers, tree.cores);
}

ParameterLayout layout_of(const SessionConfig& config) {
  return ParameterLayout(config.model, config.lattice, config.lora);
}

BatchPlan plan_session_batch(const SessionConfig& config) {
  return plan_session_batch(layout_of(config), config.batch, config.sequence, config.positions);
}

BatchPlan plan_session_batch(const ParameterLayout& layout, std::int64_t batch,
                             std::int64_t sequence, std::int64_t positions) {
  BatchShape shape;
  shape.batch = batch;
  shape.sequence = sequence;
  shape.parameters = layout.trainables().parameters();
  shape.flops_per_token = layout.flops_per_token(sequence);
  shape.symmetry_order = layout.config().symmetry_order;
  shape.positions = positions;
  return plan_batch(shape);
}

bool packs_weights(const SessionConfig& config, const ParameterLayout& layout) {
  return config.gemm == GemmBackend::kNative && config.base == Precision::kFp32 &&
         (config.pack_always ||
          PackedWeights::pays(layout, config.precision, config.batch * config.sequence));
}

std::size_t scratch_floats(const SessionConfig& config, const BatchPlan& plan) {
  return ShardProgram::worker_scratch_floats(layout_of(config), largest_shard(config, plan),
                                             kernels(), config.precision);
}

std::unique_ptr<Optimizer> make_optimizer(const SessionConfig& config) {
  return std::make_unique<AdamW>(config.adamw);
}

SessionConfig session_for(const TrainConfig& config, const ModelConfig& model) {
  SessionConfig s;
  s.model = model;
  s.batch = config.batch * config.grad_accum;
  s.sequence = config.sequence;
  s.positions = config.positions;
  s.lattice = config.lattice;
  s.lora = lora_of(config);
  if (s.lora) s.base = parse_precision(config.base_dtype);
  s.adamw = {config.beta1, config.beta2, config.epsilon, config.weight_decay, config.lattice_rate};
  s.schedule = {parse_schedule(config.schedule), config.learning_rate, config.min_learning_rate,
                config.warmup, config.steps};
  s.clip = config.clip;
  s.seed = static_cast<std::uint64_t>(config.seed);
  s.precision = parse_precision(config.precision);
  s.gemm = choose_gemm_backend(config.gemm, s.precision == Precision::kBf16);
  s.pass = config.recompute ? Pass::kRecomputing : Pass::kTraining;
  set_crew(s, config, allowance());
  return s;
}

}  // namespace cllm
