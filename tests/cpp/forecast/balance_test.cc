// These tests check how much of W workers' time a step uses, for more workers than cores: by
// simulation for every number of them, and with threads whose tiles sleep for some.
#include "balance.h"

#include <array>

#include "sanitized.h"

namespace cllm {
namespace {

TEST(TrainBalance, ScheduleUsesEveryNumberOfWorkers) {
  if (kSanitized) GTEST_SKIP() << "one thread plays all workers";
  for (const BalanceCase& c : balance_cases(6)) {
    double worst = 1;
    int workers = 0;
    for (const int w : balance_workers()) {
      StepSchedule step(c.step, w);
      const auto tile = [&step](const TileClaim& claim) { return at(step.costs, claim); };
      const double wall = play_schedule(step.schedule, step.shards, step.tree, w, {tile}).time;
      const double efficiency = step.ideal(step.costs) / wall;
      EXPECT_GE(efficiency, c.wanted) << c.name << ", " << w << " workers";
      EXPECT_LE(efficiency, 1.000001) << "better than the ideal: it is not the ideal";
      if (efficiency < worst) {
        worst = efficiency;
        workers = w;
      }
    }
    std::printf("%s: least %.3f, with %d workers\n", c.name.c_str(), worst, workers);
  }
}

/// One position and two workers whose tiles all take the same time. Of the pairs of a tile and one
/// that it waits for, both of a part of the rows: how many are run by the same worker.
double kept_by_their_worker(const ScheduleCase& c) {
  struct NoTiles final : TileRunner {
    void run_tile(int, const TileClaim&) override {}
  } runner;
  StepSchedule step(c, 2);
  const std::vector<PhasePlan>& phases = step.jobs.front().phases;
  JobPlan job;
  job.phases = phases;
  Stage stage({job}, {0, 0}, runner);
  stage.reset(2);
  stage.arrive(0);
  std::vector<std::array<double, 2>> ran(phases.size());  // tiles of a phase, by worker
  double pairs = 0, kept = 0;
  while (!stage.finished()) {
    TileClaim claims[2];
    for (const int w : {0, 1}) {
      claims[w] = stage.claim(w, 0);
      if (!claims[w]) continue;
      const auto phase = static_cast<std::size_t>(claims[w].phase);
      ++ran[phase][static_cast<std::size_t>(w)];
      for (const std::int32_t before : phases[phase].after) {
        const auto b = static_cast<std::size_t>(before);
        if (phases[phase].strand == 0 || phases[b].strand == 0) continue;
        pairs += ran[b][0] + ran[b][1];
        kept += ran[b][static_cast<std::size_t>(w)];
      }
    }
    for (const TileClaim& claim : claims) {
      if (claim) stage.finish(claim);
    }
  }
  return kept / pairs;
}

TEST(TrainBalance, RowsStayWithTheWorkerThatMadeThem) {
  for (const BalanceCase& c : balance_cases(2)) {
    if (c.step.positions > 1) continue;
    EXPECT_GT(kept_by_their_worker(c.step), 0.9) << c.name;
  }
}

TEST(TrainBalance, UsesWorkersBeyondTheCores) {
  for (const BalanceCase& c : balance_cases(1)) {
    if (c.step.positions == 12) expect_balance(c, {17, 51}, 1.0);
    if (c.step.positions == 3) expect_balance(c, {5, 22}, 2.0);
    if (c.step.positions == 1) expect_balance(c, {5, 12}, 3.0);
  }
}

}  // namespace
}  // namespace cllm
