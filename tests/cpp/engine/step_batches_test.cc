// Step batches are routed as the plan wants, laid out ahead, and counted when they are taken.
#include "engine/step_batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "interposed.h"

namespace cllm {
namespace {

constexpr std::int64_t kOrder = 12;

BatchPlan plan() {
  BatchShape shape;
  shape.batch = 6;
  shape.sequence = 2;
  shape.positions = 3;
  shape.symmetry_order = kOrder;
  return plan_batch(shape);
}

/// Sequence i of a step holds its group twice; targets say step and sequence.
class Source {
 public:
  DrawBatch draw() {
    return [this](std::int64_t step, const RowsToFill& to) {
      ++drawn;
      for (int i = 0; i < 12; ++i) {
        to.inputs[i] = groups[static_cast<std::size_t>(i / 2)];
        to.targets[i] = static_cast<std::int32_t>(100 * step + i);
        if (to.first_keys != nullptr) to.first_keys[i] = i % 2 * (i / 2 % 2);
      }
    };
  }
  std::vector<std::int32_t> groups = {2, 1, 0, 1, 2, 1};
  int drawn = 0;
};

StepBatches batches_of(Source& source, Routing routing = Routing::kSymmetry) {
  return StepBatches(plan(), routing, kOrder, source.draw());
}

TEST(StepBatches, LaysSequencesOutWherePositionsLookForThem) {
  Source source;
  StepBatches batches = batches_of(source);
  bool late = false;
  const StepBatch& batch = batches.take(4, late);
  // Position 0 has sequence 2 and, moved from position 1, the last one.
  EXPECT_EQ(batch.inputs, (std::vector<std::int32_t>{0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2}));
  EXPECT_EQ(batch.targets, (std::vector<std::int32_t>{404, 405, 410, 411, 402, 403, 406, 407, 400,
                                                      401, 408, 409}));
  EXPECT_EQ(batch.sequences, (std::vector<std::int64_t>{2, 5, 1, 3, 0, 4})) << "as they were drawn";
  StepBatches in_turn = batches_of(source, Routing::kRoundRobin);
  EXPECT_EQ(in_turn.take(0, late).inputs,
            (std::vector<std::int32_t>{2, 2, 1, 1, 1, 1, 2, 2, 0, 0, 1, 1}));
}

TEST(StepBatches, SaysWhatWasNotLaidOutInTime) {
  Source source;
  StepBatches batches = batches_of(source);
  bool late = false;
  batches.take(0, late);
  EXPECT_TRUE(late);
  batches.prepare(1);
  batches.prepare(1);
  EXPECT_EQ(source.drawn, 2) << "once a step";
  batches.take(1, late);
  EXPECT_FALSE(late);
  batches.prepare(2);
  batches.prepare(3);
  batches.take(2, late);
  EXPECT_FALSE(late) << "a step and the next are there together";
  batches.take(5, late);
  EXPECT_TRUE(late) << "in the place of another step";
}

TEST(StepBatches, WhatCannotBeDrawnAheadIsSaidWhenItIsTaken) {
  Source source;
  bool fails = false;
  StepBatches batches(plan(), Routing::kSymmetry, kOrder,
                      [&](std::int64_t step, const RowsToFill& to) {
                        if (fails) throw std::runtime_error("step " + std::to_string(step));
                        source.draw()(step, to);
                      });
  bool late = false;
  batches.take(0, late);
  fails = true;
  EXPECT_NO_THROW(batches.prepare(1)) << "the step that is computed meanwhile is not lost";
  EXPECT_THROW(batches.take(1, late), std::runtime_error);
  EXPECT_THROW(batches.take(1, late), std::runtime_error);
  EXPECT_EQ(batches.groups()[1].sequences, 3) << "of step 0";
  fails = false;
  EXPECT_EQ(batches.take(1, late).step, 1) << "it can be drawn again";
}

TEST(StepBatches, CountsWhatIsTakenAndNotWhatIsPrepared) {
  Source source;
  StepBatches batches = batches_of(source);
  bool late = false;
  for (int step = 0; step < 3; ++step) {
    batches.take(step, late);
    batches.prepare(step + 1);
  }
  const std::vector<GroupReport> groups = batches.groups();
  ASSERT_EQ(groups.size(), 12u);
  EXPECT_EQ(groups[1].group, 1);
  EXPECT_EQ(groups[1].position, 1);
  EXPECT_EQ(groups[1].sequences, 9);
  EXPECT_EQ(groups[1].tokens, 18);
  EXPECT_EQ(groups[1].moved, 3);
  EXPECT_EQ(groups[2].sequences, 6);
  EXPECT_EQ(groups[2].moved, 0);
  EXPECT_EQ(groups[7].position, 1);
  EXPECT_EQ(groups[7].sequences, 0);
}

TEST(StepBatches, CountsTokensByRing) {
  Source source;
  source.groups = {14, 1, 24, 1, 14, 1};  // groups 2, 1, 0, 1, 2, 1
  StepBatches batches(plan(), Routing::kSymmetry, kOrder, source.draw(), 30);
  bool late = false;
  batches.give_back(batches.take(0, late));
  EXPECT_TRUE(batches.rings().empty());
  batches.take(0, late);
  batches.take(1, late);
  const std::vector<RingReport> rings = batches.rings();
  ASSERT_EQ(rings.size(), 3u);
  EXPECT_EQ(rings[0].tokens, 12);
  EXPECT_EQ(rings[0].moved, 4) << "the last sequence of each step";
  EXPECT_EQ(rings[1].ring, 1);
  EXPECT_EQ(rings[1].rings, 1);
  EXPECT_EQ(rings[1].first, 12);
  EXPECT_EQ(rings[1].tokens, 8);
  EXPECT_EQ(rings[2].tokens, 4);
  EXPECT_EQ(rings[2].moved, 0);
  EXPECT_TRUE(batches_of(source).rings().empty()) << "no lattice";
}

// A vocabulary of 50 000 has 50 000 rings of order 1, of which few lines are made.
TEST(StepBatches, CountsTokensOfHighRingsTogether) {
  BatchShape shape;
  shape.batch = 50;
  shape.sequence = 1000;
  shape.symmetry_order = 1;
  const auto each_once = [](std::int64_t, const RowsToFill& to) {
    std::iota(to.inputs, to.inputs + 50000, 0);
    std::fill_n(to.targets, 50000, 0);
  };
  StepBatches batches(plan_batch(shape), Routing::kSymmetry, 1, each_once, 50000);
  bool late = false;
  batches.take(0, late);
  const std::vector<RingReport> rings = batches.rings();
  EXPECT_LE(rings.size(), 64u);
  std::int64_t next = 0;
  for (const RingReport& band : rings) {
    EXPECT_EQ(band.ring, next);
    EXPECT_EQ(band.first, next);
    EXPECT_EQ(band.tokens, band.rings) << "from ring " << band.ring;
    next += band.rings;
  }
  EXPECT_EQ(next, 50000) << "the last band ends where the vocabulary does";
}

TEST(StepBatches, RoutesAndCountsTheCallersSequencesToo) {
  Source source;
  StepBatches batches = batches_of(source);
  std::vector<std::int32_t> inputs(12), targets(12);
  source.draw()(4, {inputs.data(), targets.data(), nullptr});
  bool late = false;
  const StepBatch own = batches.route({inputs.data(), targets.data()});
  const StepBatch& drawn = batches.take(4, late);
  EXPECT_EQ(own.inputs, drawn.inputs);
  EXPECT_EQ(own.targets, drawn.targets);
  EXPECT_EQ(batches.groups()[0].sequences, 2);
}

// Sequences 1, 3 and 5 are of two documents.
TEST(StepBatches, LaysFirstKeysOutWithTheirSequences) {
  Source source;
  StepBatches batches(plan(), Routing::kSymmetry, kOrder, source.draw(), 0, true);
  bool late = false;
  const std::vector<std::int32_t> wanted = {0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0};
  EXPECT_EQ(batches.take(4, late).first_keys, wanted) << "in the order 2, 5, 1, 3, 0, 4";
  std::vector<std::int32_t> inputs(12), targets(12), first_keys(12);
  source.draw()(4, {inputs.data(), targets.data(), first_keys.data()});
  EXPECT_EQ(batches.route({inputs.data(), targets.data(), first_keys.data()}).first_keys, wanted);
  EXPECT_EQ(batches.route({inputs.data(), targets.data()}).rows().first_keys, nullptr);
  EXPECT_EQ(batches.take(5, late).first_keys, wanted) << "after a step without";
  EXPECT_EQ(batches_of(source).take(4, late).rows().first_keys, nullptr);
}

TEST(StepBatches, AllocatesNothingOnceItIsMade) {
#if !CLLM_INTERPOSED
  GTEST_SKIP() << "a sanitizer stands in front of the C library";
#endif
  Source source;
  StepBatches batches(plan(), Routing::kSymmetry, kOrder, source.draw(), 0, true);
  bool late = false;
  calls.start();
  for (int step = 0; step < 4; ++step) {
    batches.take(step, late);
    batches.prepare(step + 1);
  }
  calls.stop();
  EXPECT_EQ(calls.allocations, 0);
}

}  // namespace
}  // namespace cllm
