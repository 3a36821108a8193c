// The table of jobs turns rows and what they wait for into arrivals and successors.
#include "engine/job_table.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace cllm {
namespace {

TEST(JobTable, TurnsWaitsIntoArrivalsAndSuccessors) {
  JobTable table;
  JobRow position;
  position.by_root = true;
  EXPECT_EQ(table.add(position), 0);
  position.index = 1;
  position.after = {0};
  EXPECT_EQ(table.add(position), 1);
  JobRow norm{JobKind::kNorm, 0, 4};
  norm.after = {1};
  norm.reports = true;
  EXPECT_EQ(table.add(norm), 2);
  const int packing = table.add({JobKind::kPacking, 0, 4, true});
  table.wait(0, packing);  // a later row

  const std::vector<JobPlan> plans = table.plans();
  ASSERT_EQ(plans.size(), 4u);
  EXPECT_EQ(plans[0].arrivals, 2) << "the root and the packing";
  EXPECT_EQ(plans[1].arrivals, 2) << "the root and the position before";
  EXPECT_EQ(plans[2].arrivals, 1);
  EXPECT_EQ(plans[3].arrivals, 1) << "the root";
  EXPECT_EQ(plans[0].successors, std::vector<std::int32_t>{1});
  EXPECT_EQ(plans[1].successors, std::vector<std::int32_t>{2});
  EXPECT_EQ(plans[3].successors, std::vector<std::int32_t>{0});
  EXPECT_EQ(plans[2].owner, 4);
  EXPECT_TRUE(plans[2].reports);
  EXPECT_EQ(table.reporting(), 1);
  EXPECT_EQ(table.first(JobKind::kNorm), 2);
  EXPECT_EQ(table.count(JobKind::kPosition), 2);
  EXPECT_EQ(table.count(JobKind::kMerge), 0);
  EXPECT_THROW(table.add(position), std::logic_error) << "other kinds lie between";
}

}  // namespace
}  // namespace cllm
