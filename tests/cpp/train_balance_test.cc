// How much of W workers' time a step uses, for more workers than cores: by simulation for every
// number of them, and with threads whose tiles sleep for some.
#include "balance.h"

namespace cllm {
namespace {

TEST(TrainBalance, ScheduleUsesEveryNumberOfWorkers) {
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

TEST(TrainBalance, UsesWorkersBeyondTheCores) {
  for (const BalanceCase& c : balance_cases(1)) {
    if (c.step.positions == 12) expect_balance(c, {17, 51}, 1.0);
    if (c.step.positions == 3) expect_balance(c, {5, 22}, 2.0);
    if (c.step.positions == 1) expect_balance(c, {5, 12}, 3.0);
  }
}

}  // namespace
}  // namespace cllm
