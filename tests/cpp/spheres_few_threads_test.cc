// A system that gives fewer threads than asked for: the message says how many, and what works.
#include <gtest/gtest.h>

#include <regex>
#include <string>

#include "cllm/tree_plan.h"
#include "few_threads.h"
#include "spheres/tree.h"

namespace cllm {
namespace {

void make_tree(std::int64_t threads) {
  TreeOptions options;
  options.cores = 1;
  const SphereTree tree(plan_tree(threads), options);
}

TEST(FewThreads, AreSaidWithTheNumberThatWorks) {
  const std::string said = said_with_few_threads(
      [] { make_tree(64); }, [](std::int64_t workers) { make_tree(threads_for_workers(workers)); });
  if (said.empty()) GTEST_SKIP() << "no limit for this user";
  EXPECT_TRUE(std::regex_match(
      said, std::regex("the system gives no more threads \\(.*\\): got [0-9]+, expected 63 for 51 "
                       "workers \\(--workers [0-9]+ works; .*\\) and it does")))
      << said;
}

}  // namespace
}  // namespace cllm
