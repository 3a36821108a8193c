// Owners have runs of blocks of about equal weight, and none of them is empty.
#include "reduce/owners.h"

#include <gtest/gtest.h>

#include "model/layout.h"

namespace cllm {
namespace {

using Weights = std::vector<std::int64_t>;
using Begins = std::vector<std::int32_t>;

TEST(DealRuns, CutsWhereTheWeightIs) {
  EXPECT_EQ(deal_runs(Weights{5}, 1), (Begins{0, 1}));
  EXPECT_EQ(deal_runs(Weights{1, 1, 1, 1}, 2), (Begins{0, 2, 4}));
  EXPECT_EQ(deal_runs(Weights{9, 1, 1, 1}, 2), (Begins{0, 1, 4}));
  EXPECT_EQ(deal_runs(Weights{1, 1, 1, 9}, 2), (Begins{0, 3, 4}));
  EXPECT_EQ(deal_runs(Weights{1, 100, 1, 100, 1, 100, 1}, 3), (Begins{0, 2, 5, 7}))
      << "small things between large ones do not decide who has how many large ones";
}

TEST(DealRuns, LeavesNobodyEmpty) {
  EXPECT_EQ(deal_runs(Weights{100, 1, 1}, 3), (Begins{0, 1, 2, 3}));
  EXPECT_EQ(deal_runs(Weights{1, 1, 100}, 3), (Begins{0, 1, 2, 3}));
  EXPECT_EQ(deal_runs(Weights{0, 0, 0, 0}, 4), (Begins{0, 1, 2, 3, 4}));
}

TEST(OwnedBlocks, EveryBlockHasOneOwnerAndTheyHaveAboutAsMuch) {
  const ParameterLayout layout({6, 6, 384, 256, 65});
  for (const int owners : {1, 2, 3, 5, 12}) {
    const OwnedBlocks owned(layout.trainables(), owners);
    ASSERT_EQ(owned.owners(), owners);
    std::size_t next = 0;
    for (int o = 0; o < owners; ++o) {
      ASSERT_GE(owned.count(o), 1);
      std::int64_t elements = 0;
      for (std::int32_t i = 0; i < owned.count(o); ++i, ++next) {
        ASSERT_EQ(owned.block(o, i), next);
        elements += layout.trainables().blocks()[next].size;
      }
      EXPECT_LE(std::abs(elements - layout.parameters() / owners), kBlockSize) << owners;
    }
    EXPECT_EQ(next, layout.trainables().blocks().size());
  }
  const ParameterLayout small({1, 1, 1, 1, 2});
  const OwnedBlocks each(small.trainables(), 1000);
  EXPECT_EQ(static_cast<std::size_t>(each.owners()), small.trainables().blocks().size());
}

}  // namespace
}  // namespace cllm
