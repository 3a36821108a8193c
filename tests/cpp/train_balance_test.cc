// Tiles that sleep: how much of W workers' time a step uses, for more workers than cores.
#include "balance.h"

namespace cllm {
namespace {

TEST(TrainBalance, UsesWorkersBeyondTheCores) {
  for (const BalanceCase& c : balance_cases()) {
    const bool long_step = c.step.positions == 12;
    expect_balance(c, long_step ? std::vector<int>{17, 24, 51} : std::vector<int>{5, 12, 24, 51},
                   long_step ? 1.5 : 3.0);
  }
}

}  // namespace
}  // namespace cllm
