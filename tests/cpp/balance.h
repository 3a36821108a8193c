// Steps of sleeping tiles that the tests of balance try, and what each number of positions must
// reach.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "sleeping_step.h"
#include "watchdog.h"

namespace cllm {

struct BalanceCase {
  std::string name;
  SleepingCase step;
  int full;          ///< up to so many workers at least 90 % of the ideal must be reached
  double otherwise;  ///< and this beyond
};

/// Tiles like those of 6 layers x 384, on one layer. 4 sequences are 1024 rows, a whole shard; 13
/// on 3 positions are one of 2 shards and two of 1. Where a position must take more workers than a
/// part of its phases' 24 tiles, the last round of a phase is not full, and nobody else has work
/// for those who wait: equal tiles of one phase at a time allow no more, whatever the schedule.
inline std::vector<BalanceCase> balance_cases() {
  return {{"TwelveEqual", {1, 6, 384, 256, 65, 24, 12}, 51, 0.90},
          {"TwelveUnequal", {1, 6, 384, 256, 65, 29, 12}, 51, 0.90},
          {"ThreeEqual", {1, 6, 384, 256, 65, 12, 3}, 24, 0.70},
          {"ThreeUnequal", {1, 6, 384, 256, 65, 13, 3}, 24, 0.70},
          {"One", {1, 6, 384, 256, 65, 4, 1}, 6, 0.60}};
}

/// Runs the case on each number of workers. A busy machine delays wakes, so the best of a few runs
/// counts: no run is better than what the schedule allows.
inline void expect_balance(const BalanceCase& c, const std::vector<int>& workers, double mean_ms) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's own time is not the schedule's";
#endif
  const Watchdog watchdog("balance of " + c.name, std::chrono::seconds(1500));
  for (int w : workers) {
    const double wanted = w <= c.full ? 0.90 : c.otherwise;
    SleepingStep step(c.step, w);
    double best = 0;
    for (int turn = 0; turn < 6 && best < wanted; ++turn) {
      step.run(mean_ms);
      best = std::max(best, step.efficiency());
    }
    std::fflush(stdout);
    std::printf("%s: %d workers, %zu tiles, %.1f ms, efficiency %.3f\n", c.name.c_str(), w,
                step.tiles(), step.wall_ms(), best);
    EXPECT_GE(best, wanted) << c.name << ", " << w << " workers";
    EXPECT_LE(best, 1.01) << "better than the ideal: it is not the ideal";
  }
}

}  // namespace cllm
