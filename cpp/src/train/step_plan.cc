#include "cllm/step_plan.h"

#include <algorithm>

#include "checkpoint/model_json.h"
#include "cllm/options.h"
#include "cpu/allowance.h"
#include "data/sequence_length.h"
#include "train/crew_size.h"
#include "train/predict_step.h"

namespace cllm {
namespace {

SessionConfig session_of(const TrainConfig& c) {
  SessionConfig s;
  s.model.layers = c.layers;
  s.model.heads = c.heads;
  s.model.width = c.width;
  s.model.positions = c.sequence > 0 ? c.sequence : kDefaultSequence;
  s.model.vocabulary = c.vocabulary > 0 ? c.vocabulary : kByteVocabulary;
  s.model.bias = c.bias;
  s.model.symmetry_order = static_cast<int>(c.symmetry);
  s.model.dropout = {c.dropout, c.dropout, c.dropout};
  check(s.model);  // together, sizes may be too large for any plan
  s.batch = c.batch * c.grad_accum;
  s.sequence = s.model.positions;
  s.positions = c.positions;
  s.precision = parse_precision(c.precision);
  s.pass = c.recompute ? Pass::kRecomputing : Pass::kTraining;
  set_crew(s, c, allowance());
  return s;
}

SessionConfig checked_session(const TrainConfig& config) {
  TrainConfig checked = config;  // what a plan does not need may be missing
  if (checked.data.empty()) checked.data = "data";
  if (checked.out.empty()) checked.out = "run";
  check(checked);
  return session_of(checked);
}

}  // namespace

StepForecast predict_step(const TrainConfig& config, const Machine& machine,
                          const std::string& where) {
  const SessionConfig session = checked_session(config);
  return predict_step(session, rates_for(machine, session.active_workers()), where);
}

StepPlan plan_step(const TrainConfig& config) {
  const SessionConfig session = checked_session(config);
  const BatchPlan batch =
      plan_session_batch(session.model, session.batch, session.sequence, session.positions);
  const MemoryPlan memory = plan_memory(session);
  StepPlan plan;
  plan.model = session.model;
  plan.parameters = ParameterLayout(session.model).parameters();
  plan.batch = session.batch;
  plan.sequence = session.sequence;
  plan.shards = static_cast<std::int64_t>(batch.shards.size());
  plan.positions = static_cast<std::int64_t>(batch.positions.size());
  plan.largest_shard = batch.largest_shard();
  plan.threads = session.threads;
  plan.workers = count_workers(session.threads, session.model.symmetry_order);
  plan.active_workers = session.active_workers();
  plan.parameter_memory = memory.parameters;
  plan.moment_memory = memory.moments;
  plan.activation_memory = memory.activations_and_gradients;
  plan.worker_memory = memory.workers;
  plan.other_memory = memory.rest();
  return plan;
}

}  // namespace cllm
