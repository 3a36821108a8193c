// Tests of balance try these steps of sleeping tiles, and each step has a share that it must reach.
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
  ScheduleCase step;
  double wanted;  ///< share of the ideal, for every number of workers
};

/// Returns cases with tiles like those of 6 layers x 384 (fewer layers where they sleep). 4
/// sequences are 1024 rows, a whole shard; 13 on 3 positions are one position of 2 shards and two
/// of 1. A lone position has 24 tiles in some operations, of which a team of 23 leaves one for a
/// second turn.
inline std::vector<BalanceCase> balance_cases(std::int64_t layers) {
  return {{"TwelveEqual", {layers, 6, 384, 256, 65, 24, 12}, 0.90},
          {"TwelveUnequal", {layers, 6, 384, 256, 65, 29, 12}, 0.90},
          {"ThreeEqual", {layers, 6, 384, 256, 65, 12, 3}, 0.90},
          {"ThreeUnequal", {layers, 6, 384, 256, 65, 13, 3}, 0.90},
          {"One", {layers, 6, 384, 256, 65, 4, 1}, 0.90}};
}

inline std::vector<int> balance_workers() {
  std::vector<int> workers;
  for (int w = 1; w <= 24; ++w) workers.push_back(w);
  workers.push_back(51);  // of 64 spheres
  return workers;
}

/// Runs the case on each number of workers, with tiles of `mean_ms` for up to 12 of them and longer
/// ones for more, because the cost of wakes on too few cores grows with the workers and is not the
/// schedule's. A busy machine delays wakes, so the best of a few runs counts, and it may miss the
/// goal by a little; no run is better than what the schedule allows.
inline void expect_balance(const BalanceCase& c, const std::vector<int>& workers, double mean_ms) {
  const double wanted = c.wanted - 0.05;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's own time is not the schedule's";
#endif
  const Watchdog watchdog("balance of " + c.name, std::chrono::seconds(1500));
  for (int w : workers) {
    SleepingStep step(c.step, w);
    double best = 0;
    for (int turn = 0; turn < 6 && best < c.wanted; ++turn) {
      step.run(mean_ms * std::max(1.0, w / 12.0));
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
