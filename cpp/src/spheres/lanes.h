// Jobs that share memory in turn: job j is in lane j mod `lanes` and opens when job j - lanes,
// which had the lane's memory before it, has ended.
//
// Who ends a job looks among its successors first, so a lane's memory stays with the worker, and in
// the caches, where it is. Cores that share no cache read a third as fast what another one wrote:
// there case A in four positions takes 23.2 ms a step, and 24.7 when each gets whatever memory the
// root has free (benchmarks/README.md).
#pragma once

#include <vector>

#include "spheres/job_plan.h"

namespace cllm {

inline int lane_of(int job, int lanes) noexcept { return job % lanes; }

/// Chains the first `count` jobs; each that waits for another gets an arrival more.
inline void chain_lanes(std::vector<JobPlan>& jobs, int count, int lanes) {
  for (int j = lanes; j < count; ++j) {
    std::vector<std::int32_t>& successors = jobs[static_cast<std::size_t>(j - lanes)].successors;
    successors.insert(successors.begin(), j);
    ++jobs[static_cast<std::size_t>(j)].arrivals;
  }
}

}  // namespace cllm
