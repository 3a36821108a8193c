// The plan of a step's shards has the waits that a search of all pairs of phases finds, at a cost
// that does not grow with the shards.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>

#include "cllm/error.h"
#include "engine/session.h"
#include "spheres/laps.h"

namespace cllm {
namespace {

ModelConfig model_of(std::int64_t layers, std::int64_t width, std::int64_t vocabulary = 257) {
  ModelConfig model;
  model.layers = layers;
  model.heads = 4;
  model.width = width;
  model.context = 64;
  model.vocabulary = vocabulary;
  return model;
}

struct Planned {
  Planned(const ModelConfig& model, std::int64_t batch, std::int64_t positions, Pass pass,
          const std::optional<LoraConfig>& lora = std::nullopt)
      : layout(model, false, lora),
        plan(plan_session_batch(layout, batch, model.context, positions)),
        shards(model, layout, plan, pass, WeightLayout::kPlain) {
    jobs.resize(plan.positions.size());
    for (std::size_t p = 0; p < jobs.size(); ++p) shards.lay_out(static_cast<int>(p), jobs[p]);
  }

  const ParameterLayout layout;
  const BatchPlan plan;
  const ShardJobs shards;
  std::vector<JobPlan> jobs;
};

bool conflict(const Phase& a, const Phase& b) {
  return std::any_of(a.accesses.begin(), a.accesses.end(), [&b](const Access& x) {
    return std::any_of(b.accesses.begin(), b.accesses.end(), [&x](const Access& y) {
      return x.buffer == y.buffer && (x.writes || y.writes) && x.rows.begin < y.rows.end &&
             y.rows.begin < x.rows.end;
    });
  });
}

using Before = std::vector<std::vector<bool>>;  // [phase][earlier one]: must have ended

void add_waits(Before& before, const std::vector<std::int32_t>& waits) {
  std::vector<bool> all(before.size());
  for (const std::int32_t wait : waits) {
    const std::vector<bool>& of = before[static_cast<std::size_t>(wait)];
    for (std::size_t p = 0; p < of.size(); ++p) all[p] = all[p] || of[p];
    all[static_cast<std::size_t>(wait)] = true;
  }
  before.push_back(std::move(all));
}

/// The order of a position's phases that its plan asks for, and that every pair of them asks for.
void expect_order_of_all_pairs(const Planned& step, int position) {
  const std::vector<PhasePlan> phases = unrolled(step.jobs[static_cast<std::size_t>(position)]);
  Before by_plan, by_pairs;
  std::vector<const Phase*> all;
  for (std::size_t p = 0; p < phases.size(); ++p) {
    const ShardJobs::Place place = step.shards.place(position, static_cast<std::int32_t>(p));
    const Phase& phase = place.program->phases()[place.phase];
    ASSERT_EQ(phases[p].tiles, phase.tiles);
    std::vector<std::int32_t> waits;
    for (std::size_t before = 0; before < p; ++before) {
      if (conflict(phase, *all[before])) waits.push_back(static_cast<std::int32_t>(before));
    }
    all.push_back(&phase);
    add_waits(by_plan, phases[p].after);
    add_waits(by_pairs, waits);
  }
  EXPECT_TRUE(by_plan == by_pairs);
}

TEST(ShardJobs, OrderIsThatOfAllPairsOfPhases) {
  for (const Pass pass : {Pass::kTraining, Pass::kRecomputing}) {
    for (const std::int64_t width : {32, 640}) {
      const Planned step(model_of(2, width), 8 * 11 + 3, 2, pass);  // shards of 8 and of 7
      SCOPED_TRACE("width " + std::to_string(width));
      for (int position : {0, 1}) expect_order_of_all_pairs(step, position);
      EXPECT_GE(step.jobs[1].laps.back().times, 4) << "the shards of one shape are not a lap";
    }
  }
}

// Adapters leave out what lies below the lowest of them, which other phases of full training wait
// for.
TEST(ShardJobs, OrderWithAdaptersToo) {
  for (const char* target : {kAllLinear, "c_attn", "attn.c_proj", "c_fc", "mlp.c_proj"}) {
    for (const double dropout : {0.0, 0.1}) {
      LoraConfig lora;
      lora.targets = {target};
      lora.dropout = dropout;
      for (const Pass pass : {Pass::kTraining, Pass::kRecomputing}) {
        for (const std::int64_t width : {32, 640}) {
          const Planned step(model_of(2, width), 8 * 11 + 3, 2, pass, lora);
          SCOPED_TRACE(std::string(target) + ", width " + std::to_string(width));
          for (int position : {0, 1}) expect_order_of_all_pairs(step, position);
          EXPECT_GE(step.jobs[1].laps.back().times, 3) << "the shards of one shape are not a lap";
        }
      }
    }
  }
}

TEST(ShardJobs, PlacesCountTheShardsOfAPosition) {
  const Planned step(model_of(1, 32), 8 * 11 + 3, 2, Pass::kTraining);
  for (std::size_t p = 0; p < step.jobs.size(); ++p) {
    const PositionPlan& position = step.plan.positions[p];
    std::int32_t phase = 0;
    for (int s = position.first_shard; s < position.first_shard + position.shards; ++s) {
      const auto sequences = step.plan.shards[static_cast<std::size_t>(s)].sequences;
      const auto first = step.shards.place(static_cast<int>(p), phase);
      ASSERT_EQ(first.program->cuts().shape.sequences, sequences);
      for (std::size_t of = 0; of < first.program->phases().size(); ++of, ++phase) {
        const auto place = step.shards.place(static_cast<int>(p), phase);
        ASSERT_EQ(place.shard, s);
        ASSERT_EQ(place.phase, of);
      }
    }
    EXPECT_EQ(phase, Laps(step.jobs[p]).phases());
  }
}

struct Cost {
  std::int64_t looks = 0;
  std::size_t phases = 0, waits = 0, shards = 0;
};

Cost cost_of(const ModelConfig& model, std::int64_t batch, std::int64_t positions) {
  const Planned step(model, batch, positions, Pass::kTraining);
  Cost cost{step.shards.looks(), 0, 0, step.plan.shards.size()};
  for (const JobPlan& job : step.jobs) {
    cost.phases += job.phases.size();
    for (const PhasePlan& phase : job.phases) cost.waits += phase.after.size();
  }
  return cost;
}

TEST(ShardJobs, CostsNoMoreForMoreShards) {
  ModelConfig gpt2 = model_of(12, 768, 50257);
  gpt2.heads = 12;
  gpt2.context = 1024;
  for (const auto& [model, batch] :
       {std::pair{model_of(4, 128), std::int64_t{5000}},
        std::pair{model_of(6, 192), std::int64_t{5000}}, std::pair{gpt2, std::int64_t{240}}}) {
    const Cost some = cost_of(model, batch, 12), more = cost_of(model, 4 * batch, 12);
    EXPECT_GT(more.shards, 3 * some.shards);
    // At most two lengths of positions, two sizes of shards in each, planned for two laps each.
    const Cost one = cost_of(model, batch / static_cast<std::int64_t>(some.shards), 1);
    for (const Cost& cost : {some, more}) {
      EXPECT_LE(cost.phases, 12 * 4 * one.phases);
      EXPECT_LE(cost.waits, 12 * 4 * 3 * one.waits);
      EXPECT_LE(cost.looks, 2 * 4 * 3 * one.looks);
    }
  }
}

TEST(ShardJobs, RefusesMoreTilesThanCanBeCounted) {
  EXPECT_THROW(Planned(model_of(96, 4096), 200'000, 1, Pass::kTraining), InputError);
}

}  // namespace
}  // namespace cllm
