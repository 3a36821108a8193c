// Tiles that sleep, on every number of workers to 24 and on the 51 of 64 spheres.
#include "balance.h"

namespace cllm {
namespace {

TEST(TrainBalance, UsesEveryNumberOfWorkers) {
  std::vector<int> workers;
  for (int w = 1; w <= 24; ++w) workers.push_back(w);
  workers.push_back(51);
  for (const BalanceCase& c : balance_cases()) {
    expect_balance(c, workers, c.step.positions == 12 ? 1.5 : 3.0);
  }
}

}  // namespace
}  // namespace cllm
