// The tree plan has its stated properties, for every count to 20 000.
#include <gtest/gtest.h>

#include <algorithm>

#include "cllm/error.h"
#include "cllm/tree_plan.h"

namespace cllm {
namespace {

struct Shape {
  int controls = 0, workers = 0, deepest = 0;
};

Shape measure(const TreePlan& plan) {
  Shape s;
  for (const SpherePlan& p : plan.spheres) {
    s.controls += p.role == SphereRole::kControl;
    s.workers += p.role == SphereRole::kWorker || p.role == SphereRole::kRootWorker;
    s.deepest = std::max(s.deepest, p.level);
  }
  return s;
}

TEST(TreePlan, ExamplesOfTheContract) {
  const struct {
    int threads, controls, workers, deepest;
  } cases[] = {{1, 0, 1, 0},   {2, 0, 1, 1},    {4, 0, 3, 1},      {13, 0, 12, 1},
               {14, 2, 11, 2}, {64, 12, 51, 2}, {157, 12, 144, 2}, {1885, 156, 1728, 3}};
  for (const auto& c : cases) {
    const Shape s = measure(plan_tree(c.threads));
    EXPECT_EQ(s.controls, c.controls) << c.threads;
    EXPECT_EQ(s.workers, c.workers) << c.threads;
    EXPECT_EQ(s.deepest, c.deepest) << c.threads;
  }
}

void check_structure(const TreePlan& plan, int threads, int order) {
  ASSERT_EQ(plan.spheres.size(), static_cast<std::size_t>(threads));
  std::vector<int> workers_below(plan.spheres.size(), 0);
  for (std::size_t i = plan.spheres.size(); i-- > 0;) {
    const SpherePlan& s = plan.spheres[i];
    ASSERT_EQ(s.id, static_cast<int>(i));
    ASSERT_LE(s.children, std::max(order, 2)) << "order 1 branches in twos";
    const bool computes = s.role == SphereRole::kWorker || s.role == SphereRole::kRootWorker;
    ASSERT_EQ(computes, s.children == 0) << "only leaves compute";
    workers_below[i] += computes;
    ASSERT_GE(workers_below[i], 1) << "sphere " << i << " of " << threads << " has no worker";
    if (i == 0) {
      ASSERT_EQ(s.parent, -1);
    } else {
      const SpherePlan& parent = plan.spheres[static_cast<std::size_t>(s.parent)];
      ASSERT_GE(s.id, parent.first_child);
      ASSERT_LT(s.id, parent.first_child + parent.children);
      ASSERT_EQ(s.level, parent.level + 1);
      ASSERT_EQ(s.subtree, s.parent == 0 ? s.id - parent.first_child : parent.subtree);
      workers_below[static_cast<std::size_t>(s.parent)] += workers_below[i];
    }
  }
  ASSERT_EQ(workers_below[0], static_cast<int>(plan.workers.size()));
  ASSERT_EQ(count_workers(threads, order), static_cast<int>(plan.workers.size()));
}

TEST(TreePlan, StructureHoldsForManyCountsAndOrders) {
  for (int order : {1, 2, 3, 5, 6, 12, 24}) {
    for (int threads = 1; threads <= 700; ++threads) {
      check_structure(plan_tree(threads, order), threads, order);
      if (HasFatalFailure()) return;
    }
    check_structure(plan_tree(20000, order), 20000, order);
  }
}

TEST(TreePlan, WorkersHardlyDropAndStayMany) {
  std::int64_t before = 1;
  for (std::int64_t n = 1; n <= 20000; ++n) {
    const std::int64_t workers = count_workers(n);
    ASSERT_GE(workers, before - 1) << n;
    ASSERT_LE(workers, before + 1) << n;
    if (n > 4) {
      ASSERT_GE(static_cast<double>(workers), 0.74 * static_cast<double>(n)) << n;
    }
    before = workers;
  }
}

TEST(TreePlan, FewestSpheresForAWorkerCount) {
  for (std::int64_t workers : {1, 2, 3, 11, 12, 13, 25, 51, 64, 144, 1728}) {
    const std::int64_t threads = threads_for_workers(workers);
    EXPECT_EQ(count_workers(threads), workers);
    for (std::int64_t fewer = 1; fewer < threads; ++fewer) {
      ASSERT_NE(count_workers(fewer), workers) << fewer;
    }
  }
  EXPECT_EQ(threads_for_workers(1), 1) << "one worker needs no other thread";
}

TEST(TreePlan, WorkersAreListedSiblingBySibling) {
  const TreePlan plan = plan_tree(64);
  ASSERT_EQ(plan.worker_subtrees.size(), plan.workers.size());
  for (std::size_t i = 0; i < plan.workers.size(); ++i) {
    const auto& sphere = plan.spheres[static_cast<std::size_t>(plan.workers[i])];
    EXPECT_EQ(plan.worker_subtrees[i], sphere.subtree);
  }
  EXPECT_TRUE(std::is_sorted(plan.worker_subtrees.begin(), plan.worker_subtrees.end()));
  EXPECT_EQ(plan_tree(1).worker_subtrees, std::vector<int>{0});
}

TEST(TreePlan, ActiveWorkersOwnRunsOfBlocksEachOrBySubtree) {
  const TreePlan plan = plan_tree(64);
  ASSERT_EQ(plan.worker_subtrees[4], 0);
  for (const int active : {1, 2, 5}) {
    const std::vector<int> runs = plan.owned_runs(active);
    ASSERT_EQ(runs.size(), plan.workers.size());
    for (int w = 0; w < 51; ++w) {
      EXPECT_EQ(runs[static_cast<std::size_t>(w)], std::min(w, active - 1));
    }
    EXPECT_EQ(plan.owners(active), active);
  }
  EXPECT_EQ(plan.owned_runs(51), plan.worker_subtrees);
  EXPECT_EQ(plan.owners(51), 12);
  const std::vector<int> some = plan.owned_runs(6);
  EXPECT_EQ(some[0], some[4]);
  EXPECT_EQ(some[5], 1);
  EXPECT_EQ(some[50], 1) << "who rests owns what the last one does";
  EXPECT_EQ(plan_tree(1).owners(1), 1);
}

TEST(TreePlan, TheRootComputesWhereOneOfSeveralWorkersIsActive) {
  EXPECT_TRUE(plan_tree(1).root_computes(1));
  EXPECT_FALSE(plan_tree(2).root_computes(1)) << "its one worker does not rest";
  for (const int threads : {3, 14, 64}) {
    EXPECT_TRUE(plan_tree(threads).root_computes(1));
    EXPECT_FALSE(plan_tree(threads).root_computes(2));
  }
}

TEST(TreePlan, RefusesWhatCannotBe) {
  EXPECT_THROW(plan_tree(0), InputError);
  EXPECT_THROW(plan_tree(-3), InputError);
  EXPECT_THROW(plan_tree(4, 0), InputError);
  EXPECT_THROW(threads_for_workers(0), InputError);
}

}  // namespace
}  // namespace cllm
