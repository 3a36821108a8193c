// Tiles that sleep run on every number of workers to 24 and on the 51 of 64 spheres.
#include "balance.h"

namespace cllm {
namespace {

TEST(TrainBalance, UsesEveryNumberOfWorkers) {
  for (const BalanceCase& c : balance_cases(1)) {
    if (c.step.positions == 12) expect_balance(c, balance_workers(), 1.5);
  }
  // Fewer positions: more layers, so that the few long tiles at the end of a step weigh as little.
  for (const BalanceCase& c : balance_cases(4)) {
    if (c.step.positions < 12) expect_balance(c, balance_workers(), 1.5);
  }
}

}  // namespace
}  // namespace cllm
