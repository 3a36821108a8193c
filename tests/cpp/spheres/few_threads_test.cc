// When the system gives fewer threads than asked for, the message says how many, and what works.
#include "few_threads.h"

#include <gtest/gtest.h>

#include <string>

#include "cllm/tree_plan.h"
#include "has.h"
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
  for (const char* part :
       {"the system gives no more threads (", "): got ", ", expected 63 for 51 workers (--workers ",
        " works; ", ") and it does"}) {
    EXPECT_TRUE(has(said, part)) << part << " in " << said;
  }
}

}  // namespace
}  // namespace cllm
