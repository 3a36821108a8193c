// What `cllm plan` says of a configuration is what a run of it does, for every option of the
// engine.
#include "cllm/step_plan.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "cllm/model.h"
#include "cllm/options.h"
#include "engine/memory_plan.h"
#include "setup/run_plan.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

using Given = std::vector<std::pair<std::string, std::string>>;

class StepPlanOfARun : public testing::TestWithParam<Given> {};

TrainConfig run_in(const TemporaryFolder& folder, const Given& given) {
  TrainConfig config;
  config.data = folder.file("text.txt", std::string(20000, 'a'));
  config.out = folder / "run";
  config.layers = 3;
  config.width = 64;
  config.batch = 14;
  for (const auto& [name, value] : given) set_option(config, name, value);
  return config;
}

void expect_plan_of_run(const TrainConfig& config) {
  const StepPlan plan = plan_step(config);
  const SessionConfig session = plan_run(config).session;
  const BatchPlan batch = plan_session_batch(session);
  const MemoryPlan memory = plan_memory(session);
  EXPECT_EQ(plan.model, session.model);
  EXPECT_EQ(plan.batch, session.batch);
  EXPECT_EQ(plan.sequence, session.sequence);
  EXPECT_EQ(plan.shards, static_cast<std::int64_t>(batch.shards.size()));
  EXPECT_EQ(plan.positions, static_cast<std::int64_t>(batch.positions.size()));
  EXPECT_EQ(plan.largest_shard, batch.largest_shard());
  EXPECT_EQ(plan.threads, session.threads);
  EXPECT_EQ(plan.active_workers, session.active_workers());
  EXPECT_EQ(plan.parameter_memory, memory.parameters);
  EXPECT_EQ(plan.moment_memory, memory.moments);
  EXPECT_EQ(plan.activation_memory, memory.activations_and_gradients);
  EXPECT_EQ(plan.worker_memory, memory.workers);
  EXPECT_EQ(plan.memory(), memory.total());
  EXPECT_EQ(plan.trained, layout_of(session).trainables().parameters());
}

TEST_P(StepPlanOfARun, IsTheRunsOwn) {
  const TemporaryFolder folder;
  expect_plan_of_run(run_in(folder, GetParam()));
}

TEST(StepPlanOfAdapters, IsTheRunsOwn) {
  const TemporaryFolder folder;
  Model::create({3, 4, 64, 64, 257}, 1, true, 1).save(folder / "model");
  TrainConfig config = run_in(folder, {{"lora", "true"}, {"lora-rank", "4"}});
  config.init = folder / "model";
  expect_plan_of_run(config);
  const StepPlan adapted = plan_step(config);
  EXPECT_LT(4 * adapted.trained, adapted.parameters);
  config.lora = false;
  config.lora_rank = TrainConfig{}.lora_rank;
  EXPECT_LT(adapted.memory(), plan_step(config).memory());
  EXPECT_EQ(plan_step(config).trained, adapted.parameters);
}

/// For each option of the engine a value that is not its default.
std::vector<Given> engine_options() {
  return {{},
          {{"workers", "3"}},
          {{"threads", "40"}},
          {{"threads", "40"}, {"activate-all", "true"}},
          {{"symmetry", "3"}, {"threads", "9"}},
          {{"positions", "3"}},
          {{"routing", "round_robin"}},
          {{"gemm", "native"}},
          {{"precision", "bf16"}},
          {{"precision", "bf16"}, {"gemm", "native"}},
          {{"recompute", "true"}},
          {{"grad-accum", "3"}},
          {{"dropout", "0.1"}},
          {{"no-bias", "true"}},
          {{"seq", "96"}}};
}

INSTANTIATE_TEST_SUITE_P(Options, StepPlanOfARun, testing::ValuesIn(engine_options()));

// A new option of the engine belongs into the list above.
TEST(StepPlanOptions, AreAllTried) {
  int options_of_engine = 0;
  for (const Option& option : options()) {
    if (option.group != "Engine") continue;
    ++options_of_engine;
    bool is_tried = false;
    for (const Given& given : engine_options()) {
      for (const auto& [name, value] : given) is_tried = is_tried || name == option.name;
    }
    EXPECT_TRUE(is_tried) << option.name;
  }
  EXPECT_GE(options_of_engine, 9);
}

// Recomputing keeps less: the plan has to see it.
TEST(StepPlanOptions, RecomputingTakesLessMemory) {
  TrainConfig config;
  config.layers = 6;
  const std::size_t kept = plan_step(config).memory();
  config.recompute = true;
  EXPECT_LT(plan_step(config).memory(), kept);
}

}  // namespace
}  // namespace cllm
