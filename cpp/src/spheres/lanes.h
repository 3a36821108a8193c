// Jobs of a lane share memory and use it in turn: job j is in lane j mod `lanes`. It opens when job
// j - lanes, which had the lane's memory before it, has ended.
//
// A worker who ends a job looks among its successors first, so a lane's memory stays with that
// worker and in its caches. Cores that share no cache read what another core wrote at a third of
// the speed: there case A in four positions takes 23.2 ms a step, and 24.7 ms when each position
// gets whatever memory the root has free (benchmarks/experiments.md).
#pragma once

#include <vector>

#include "spheres/job_plan.h"

namespace cllm {

inline int lane_of(int job, int lanes) noexcept { return job % lanes; }

/// Chains the first `count` jobs; each job that waits for another gets one more arrival.
inline void chain_lanes(std::vector<JobPlan>& jobs, int count, int lanes) {
  for (int j = lanes; j < count; ++j) {
    std::vector<std::int32_t>& successors = jobs[static_cast<std::size_t>(j - lanes)].successors;
    successors.insert(successors.begin(), j);
    ++jobs[static_cast<std::size_t>(j)].arrivals;
  }
}

}  // namespace cllm
