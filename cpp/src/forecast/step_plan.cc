#include "cllm/step_plan.h"

#include <algorithm>

#include "cllm/options.h"
#include "config/new_model.h"
#include "data/sequence_length.h"
#include "data/token_layout.h"
#include "engine/lora_options.h"
#include "engine/memory_plan.h"
#include "forecast/predict_step.h"

namespace cllm {
namespace {

SessionConfig checked_session(const TrainConfig& config) {
  TrainConfig checked = config;  // a plan needs neither data nor a run folder
  if (checked.data.empty()) checked.data = "data";
  if (checked.out.empty()) checked.out = "run";
  if (checked.lora && checked.init.empty()) checked.init = "model";
  check(checked);
  if (checked.sequence == 0) checked.sequence = kDefaultSequence;
  const std::int64_t vocabulary =
      checked.vocabulary > 0 ? checked.vocabulary : TokenLayout::kByteVocabulary;
  SessionConfig session = session_for(checked, new_model(checked, checked.sequence, vocabulary));
  if (session.lora) check(*session.lora, session.model, lora_option_names());
  session.snapshot = has_room_for_snapshot(session);
  return session;
}

}  // namespace

StepForecast predict_step(const TrainConfig& config, const Machine& machine,
                          const std::string& where) {
  const SessionConfig session = checked_session(config);
  return predict_step(session, rates_for(machine, session.active_workers()), where);
}

StepPlan plan_step(const TrainConfig& config) {
  const SessionConfig session = checked_session(config);
  const BatchPlan batch = plan_session_batch(session);
  const MemoryPlan memory = plan_memory(session);
  StepPlan plan;
  plan.model = session.model;
  const ParameterLayout layout = layout_of(session);
  plan.parameters = layout.parameters();
  plan.trained = layout.trainables().parameters();
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
