// A search says how the model checker goes through a model, and what result is expected.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <ostream>

#include "relacy_atomics.h"

namespace cllm {

struct Search {
  rl::scheduler_type_e scheduler = rl::sched_random;
  std::uint64_t executions = std::uint64_t{1}
                             << 40;  ///< at most; a search that has an end stops there
  unsigned switches = 0;             ///< for sched_bound: preemptions in an execution
  bool bug = false;                  ///< expected: its execution is not run again for a history
};

/// Expects the result, and tells how many executions it took, to help choose their number.
template <class Model>
std::uint64_t expect(rl::test_result_e result, const char* what, const Search& search) {
  std::ostream nowhere(nullptr);
  rl::test_params params;
  params.iteration_count = search.executions;
  params.output_stream = &nowhere;
  params.progress_stream = &nowhere;
  params.search_type = search.scheduler;
  params.context_bound = search.switches;
  params.collect_history = search.bug;
  params.execution_depth_limit = 5000;
  rl::simulate<Model>(params);
  EXPECT_EQ(params.test_result, result) << what;
  std::printf("%s: %s, %llu executions\n", what, rl::test_result_str(params.test_result),
              static_cast<unsigned long long>(params.stop_iteration));
  return params.stop_iteration;
}

template <class Model>
void expect_right(const char* what, const Search& search) {
  const std::uint64_t executions = expect<Model>(rl::test_result_success, what, search);
  const bool has_an_end = search.scheduler != rl::sched_random;
  EXPECT_GE(executions, has_an_end ? 1000 : search.executions) << what;
}

template <class Model>
void expect_found(const char* what, rl::test_result_e as) {
  expect<Model>(as, what, {rl::sched_random, 100000, 0, true});
}

}  // namespace cllm
