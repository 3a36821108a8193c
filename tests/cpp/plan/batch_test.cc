// The shards of the batch plan cover the batch, its positions are equally long, and its sum names
// each node once.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "cllm/error.h"
#include "plan/batch_plan.h"

namespace cllm {
namespace {

BatchShape gpt(std::int64_t batch, std::int64_t sequence, std::int64_t parameters) {
  BatchShape s;
  s.batch = batch;
  s.sequence = sequence;
  s.parameters = parameters;
  s.flops_per_token = 6 * parameters;
  return s;
}

TEST(BatchPlan, KnownCases) {
  const BatchPlan a = plan_batch(gpt(12, 64, 810'000));
  EXPECT_EQ(a.shards.size(), 4u);  // two shards of 384 rows, halved; 8 would be too unequal
  EXPECT_EQ(a.positions.size(), 4u);
  const BatchPlan b = plan_batch(gpt(64, 256, 10'800'000));
  EXPECT_EQ(b.shards.size(), 32u);
  EXPECT_EQ(b.positions.size(), 12u);  // 36 - 32 <= 32 / 8
  const BatchPlan d = plan_batch(gpt(4, 512, 124'000'000));
  EXPECT_EQ(d.shards.size(), 2u);  // of 1024 rows, as it is alone
  EXPECT_EQ(d.positions.size(), 1u) << "a second copy of the gradient would be 237 KiB a token";
  const BatchPlan d_twice = plan_batch(gpt(8, 512, 124'000'000));
  EXPECT_EQ(d_twice.shards.size(), 8u);
  EXPECT_EQ(d_twice.positions.size(), 2u);
  const BatchPlan c = plan_batch(gpt(4, 64, 124'000'000));
  EXPECT_EQ(c.positions.size(), 1u) << "256 rows, and a copy of the gradient costs too much";
  const BatchPlan prime = plan_batch(gpt(13, 64, 810'000));
  EXPECT_EQ(prime.shards.size(), 2u);  // 7 and 6; in four the last would have 3 of 4
  EXPECT_EQ(prime.positions.size(), 2u);
  const BatchPlan small = plan_batch(gpt(8, 32, 210'000));
  EXPECT_EQ(small.positions.size(), 2u);  // of 128 rows
  const BatchPlan line = plan_batch(gpt(1, 5, 1000));
  EXPECT_EQ(line.shards.size(), 1u);
  EXPECT_EQ(line.positions.size(), 1u);
}

TEST(BatchPlan, CoversEverySequenceOnceInOrder) {
  for (std::int64_t batch : {1, 2, 7, 12, 13, 48, 100}) {
    for (std::int64_t sequence : {1, 48, 64, 1000, 1024, 3000}) {
      for (std::int64_t k : {0, 1, 2, 5, 7, 12}) {
        if (k > batch) continue;
        BatchShape shape = gpt(batch, sequence, 1'000'000);
        shape.positions = k;
        const BatchPlan plan = plan_batch(shape);
        std::int64_t next = 0;
        std::int64_t least = batch;
        for (const ShardPlan& s : plan.shards) {
          EXPECT_EQ(s.first_sequence, next);
          EXPECT_GE(s.sequences, 1);
          EXPECT_TRUE(s.sequences == 1 ||
                      s.sequences * sequence <= (plan.positions.size() == 1 ? 1024 : 512));
          least = std::min(least, s.sequences);
          next += s.sequences;
        }
        EXPECT_EQ(next, batch);
        EXPECT_LE(plan.largest_shard() - least, 1);
        int shard = 0;
        for (const PositionPlan& p : plan.positions) {
          EXPECT_EQ(p.first_shard, shard);
          EXPECT_GE(p.shards, 1);
          shard += p.shards;
        }
        EXPECT_EQ(shard, static_cast<int>(plan.shards.size()));
        if (k > 0) {
          EXPECT_EQ(plan.positions.size(), static_cast<std::size_t>(k));
        }
      }
    }
  }
}

TEST(BatchPlan, MergesAddEachNodeExactlyOnce) {
  for (int k = 1; k <= 24; ++k) {
    const std::vector<MergePlan> merges = plan_merges(k);
    std::set<int> used;
    for (std::size_t m = 0; m < merges.size(); ++m) {
      int before = -1;
      for (int i = 0; i < merges[m].count; ++i) {
        const int node = merges[m].inputs[i];
        EXPECT_GT(node, before) << "inputs are added in index order";
        EXPECT_LT(node, k + static_cast<int>(m)) << "a merge reads earlier nodes only";
        EXPECT_TRUE(used.insert(node).second) << "node " << node << " added twice";
        before = node;
      }
    }
    EXPECT_EQ(static_cast<int>(used.size()), k + static_cast<int>(merges.size()) - 1) << k;
  }
  const auto twelve = plan_merges(12);  // 12 = 2 x 2 x 3
  ASSERT_EQ(twelve.size(), 10u);
  EXPECT_EQ(twelve.back().count, 3);
}

TEST(BatchPlan, RefusesMorePositionsThanSequencesOrSymmetry) {
  BatchShape shape = gpt(3, 8, 100);
  shape.positions = 4;
  EXPECT_THROW(plan_batch(shape), InputError);
  shape.batch = 100;
  shape.positions = 13;
  EXPECT_THROW(plan_batch(shape), InputError);
}

}  // namespace
}  // namespace cllm
