// Routing is a permutation that keeps the sizes of the plan whatever the data, sends groups to
// their positions while there is room, and counts what it did.
#include "lattice/routing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "base/rng.h"

namespace cllm {
namespace {

BatchPlan plan_of(std::int64_t batch, std::int64_t sequence, std::int64_t positions,
                  int symmetry_order) {
  BatchShape shape;
  shape.batch = batch;
  shape.sequence = sequence;
  shape.parameters = 1000;
  shape.flops_per_token = 6000;
  shape.symmetry_order = symmetry_order;
  shape.positions = positions;
  return plan_batch(shape);
}

/// The position whose shards hold a slot of the step batch.
std::int64_t position_at(const BatchPlan& plan, std::int64_t slot) {
  for (std::size_t p = 0; p < plan.positions.size(); ++p) {
    const PositionPlan& position = plan.positions[p];
    for (int s = position.first_shard; s < position.first_shard + position.shards; ++s) {
      const ShardPlan& shard = plan.shards[static_cast<std::size_t>(s)];
      if (slot >= shard.first_sequence && slot < shard.first_sequence + shard.sequences) {
        return static_cast<std::int64_t>(p);
      }
    }
  }
  return -1;
}

struct Routed {
  std::vector<std::int64_t> slots, positions;
  std::vector<GroupCount> counts;
};

Routed route(const BatchPlan& plan, Routing routing, std::int64_t symmetry_order,
             const std::vector<std::int32_t>& tokens) {
  Router router(plan, routing, symmetry_order);
  Routed routed;
  routed.slots.assign(static_cast<std::size_t>(plan.batch), -7);
  routed.counts.assign(static_cast<std::size_t>(symmetry_order), GroupCount{-1, -1, -1});
  router.route(tokens.data(), routed.slots, routed.counts);
  for (std::int64_t slot : routed.slots) routed.positions.push_back(position_at(plan, slot));
  return routed;
}

/// How the tokens of a batch are made.
enum class Data { kRandom, kOneToken, kOneGroup, kSorted, kTies, kHuge };
constexpr Data kAllData[] = {Data::kRandom, Data::kOneToken, Data::kOneGroup,
                             Data::kSorted, Data::kTies,     Data::kHuge};

std::vector<std::int32_t> tokens_of(Data data, std::int64_t count, std::int32_t order, int salt) {
  std::vector<std::int32_t> tokens;
  for (std::int64_t i = 0; i < count; ++i) {
    const RandomBlock block = random_block(5, RandomStream::kTest, static_cast<std::uint32_t>(salt),
                                           static_cast<std::uint64_t>(i));
    const auto random = static_cast<std::int32_t>(random_bits64(block, 0) % 50000);
    switch (data) {
      case Data::kRandom:
        tokens.push_back(random);
        break;
      case Data::kOneToken:
        tokens.push_back(97);
        break;
      case Data::kOneGroup:
        tokens.push_back(random / order * order + order - 1);
        break;
      case Data::kSorted:
        tokens.push_back(static_cast<std::int32_t>(i * 300 / count));
        break;
      case Data::kTies:
        tokens.push_back(static_cast<std::int32_t>(i % order));
        break;
      case Data::kHuge:
        tokens.push_back(2147483647 - random);
        break;
    }
  }
  return tokens;
}

/// The group with most tokens, the lowest of several, counted the slow way.
std::int64_t dominant(const std::int32_t* tokens, std::int64_t length, std::int64_t order) {
  std::int64_t best = 0, most = -1;
  for (std::int64_t g = 0; g < order; ++g) {
    const auto n =
        std::count_if(tokens, tokens + length, [&](std::int32_t t) { return t % order == g; });
    if (n > most) most = n, best = g;
  }
  return best;
}

/// What must hold for any data: a permutation in which no position starves or overflows, the order
/// inside a position, and the counts.
void expect_sound(const BatchPlan& plan, Routing routing, std::int64_t order,
                  const std::vector<std::int32_t>& tokens, const Routed& routed) {
  std::vector<std::int64_t> sorted = routed.slots;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    ASSERT_EQ(sorted[i], static_cast<std::int64_t>(i)) << "a permutation";
  }
  const auto K = static_cast<std::int64_t>(plan.positions.size());
  std::vector<std::int64_t> last(static_cast<std::size_t>(K), -1);
  std::vector<GroupCount> counts(static_cast<std::size_t>(order));
  for (std::size_t i = 0; i < routed.slots.size(); ++i) {
    auto& before = last[static_cast<std::size_t>(routed.positions[i])];
    EXPECT_GT(routed.slots[i], before) << "order inside a position";
    before = routed.slots[i];
    const std::int32_t* row = tokens.data() + static_cast<std::ptrdiff_t>(i) * plan.sequence;
    const std::int64_t group = dominant(row, plan.sequence, order);
    GroupCount& count = counts[static_cast<std::size_t>(group)];
    ++count.sequences;
    count.moved += routed.positions[i] != group % K ? 1 : 0;
  }
  for (std::int32_t token : tokens) ++counts[static_cast<std::size_t>(token % order)].tokens;
  std::vector<std::int64_t> wanting(static_cast<std::size_t>(K), 0);  // sequences, by position
  std::vector<std::int64_t> elsewhere = wanting;
  for (std::size_t g = 0; g < counts.size(); ++g) {
    EXPECT_EQ(routed.counts[g].sequences, counts[g].sequences) << g;
    EXPECT_EQ(routed.counts[g].tokens, counts[g].tokens) << g;
    EXPECT_EQ(routed.counts[g].moved, counts[g].moved) << g;
    wanting[g % static_cast<std::size_t>(K)] += counts[g].sequences;
    elsewhere[g % static_cast<std::size_t>(K)] += counts[g].moved;
  }
  if (routing != Routing::kSymmetry) return;
  for (std::size_t p = 0; p < wanting.size(); ++p) {  // only as many move as must
    const auto size =
        std::count_if(routed.positions.begin(), routed.positions.end(),
                      [&](std::int64_t q) { return q == static_cast<std::int64_t>(p); });
    EXPECT_EQ(elsewhere[p], std::max<std::int64_t>(0, wanting[p] - size)) << p;
  }
}

TEST(Routing, IsSoundForAnyDataAndShape) {
  int salt = 0;
  for (std::int32_t order : {1, 2, 3, 7, 12, 13, 64}) {
    for (std::int64_t batch : {1, 2, 5, 12, 25, 64}) {
      for (std::int64_t positions : {0, 1, 2, 3, 7, 12, 64}) {
        if (positions > std::min<std::int64_t>(order, batch)) continue;
        const BatchPlan plan = plan_of(batch, 40, positions, order);
        for (Data data : kAllData) {
          const auto tokens = tokens_of(data, batch * 40, order, ++salt);
          for (Routing routing : {Routing::kSymmetry, Routing::kRoundRobin}) {
            SCOPED_TRACE(testing::Message()
                         << "V " << order << ", B " << batch << ", K " << plan.positions.size()
                         << ", data " << static_cast<int>(data));
            expect_sound(plan, routing, order, tokens, route(plan, routing, order, tokens));
          }
        }
      }
    }
  }
}

/// One token a sequence, so that its group is known: each a position, or as many as are said.
std::vector<std::int64_t> seats(const std::vector<std::int32_t>& groups, std::int64_t positions,
                                Routing routing) {
  const auto batch = static_cast<std::int64_t>(groups.size());
  return route(plan_of(batch, 1, positions, 12), routing, 12, groups).positions;
}

TEST(Routing, BySymmetrySeatsAGroupAtItsPositionWhileThereIsRoom) {
  using Seats = std::vector<std::int64_t>;
  EXPECT_EQ(seats({0, 1, 2, 0, 1, 2}, 3, Routing::kSymmetry), (Seats{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(seats({2, 1, 0, 5, 4, 3}, 3, Routing::kSymmetry), (Seats{2, 1, 0, 2, 1, 0}));
  // Four want position 1, which has two seats: the last two take the first that are free.
  EXPECT_EQ(seats({1, 1, 1, 2, 1, 2}, 3, Routing::kSymmetry), (Seats{1, 1, 0, 2, 0, 2}));
  EXPECT_EQ(seats({5, 5, 5, 5, 5, 5}, 3, Routing::kSymmetry), (Seats{2, 2, 0, 0, 1, 1}));
}

TEST(Routing, InTurnIgnoresTheTokens) {
  using Seats = std::vector<std::int64_t>;
  EXPECT_EQ(seats({0, 0, 0, 0, 0, 0}, 3, Routing::kRoundRobin), (Seats{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(seats({7, 0, 3, 9, 1}, 3, Routing::kRoundRobin), (Seats{0, 1, 2, 0, 1}));
}

// Positions of two shards among positions of one: the turn goes past those that are full.
TEST(Routing, InTurnGoesPastFullPositions) {
  const BatchPlan plan = plan_of(5, 600, 2, 12);  // a shard each, three and two
  ASSERT_EQ(plan.shards.size(), 5u);
  ASSERT_EQ(plan.positions[0].shards, 3);
  const std::vector<std::int32_t> tokens(5 * 600, 0);
  EXPECT_EQ(route(plan, Routing::kRoundRobin, 12, tokens).positions,
            (std::vector<std::int64_t>{0, 1, 0, 1, 0}));
  const BatchPlan uneven = plan_of(9, 1024, 2, 12);
  const std::vector<std::int32_t> more(9 * 1024, 1);
  EXPECT_EQ(route(uneven, Routing::kSymmetry, 12, more).positions,
            (std::vector<std::int64_t>{1, 1, 1, 1, 0, 0, 0, 0, 0}));
}

TEST(Routing, OnePositionKeepsTheOrder) {
  const BatchPlan plan = plan_of(12, 64, 1, 12);
  const auto tokens = tokens_of(Data::kRandom, 12 * 64, 12, 1);
  std::vector<std::int64_t> same(12);
  std::iota(same.begin(), same.end(), 0);
  for (Routing routing : {Routing::kSymmetry, Routing::kRoundRobin}) {
    EXPECT_EQ(route(plan, routing, 12, tokens).slots, same);
  }
}

TEST(Routing, AnEqualNumberOfTokensIsTheLowerGroups) {
  const BatchPlan plan = plan_of(2, 4, 2, 12);
  const Routed routed = route(plan, Routing::kSymmetry, 12, {5, 3, 5, 3, 7, 2, 9, 14});
  EXPECT_EQ(routed.counts[3].sequences, 1);
  EXPECT_EQ(routed.counts[2].sequences, 1) << "2 and 14 are of one group";
  EXPECT_EQ(routed.counts[2].tokens, 2);
}

}  // namespace
}  // namespace cllm
