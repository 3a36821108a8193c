// How much of W workers' time a step uses, for more workers than cores: by simulation for every
// number of them, and with threads whose tiles sleep for some.
#include "balance.h"

namespace cllm {
namespace {

TEST(TrainBalance, ScheduleUsesEveryNumberOfWorkers) {
  for (const BalanceCase& c : balance_cases(6)) {
    double worst = 1;
    int at = 0;
    for (const int w : balance_workers()) {
      SimulatedStep step(c.step, w);
      step.run();
      const double efficiency = step.efficiency();
      EXPECT_GE(efficiency, c.wanted) << c.name << ", " << w << " workers";
      EXPECT_LE(efficiency, 1.000001) << "better than the ideal: it is not the ideal";
      if (efficiency < worst) {
        worst = efficiency;
        at = w;
      }
    }
    std::printf("%s: least %.3f, with %d workers\n", c.name.c_str(), worst, at);
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
