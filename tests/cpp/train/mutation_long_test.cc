// This test makes ten thousand changes to the files of a run. CLLM_MUTATIONS is another number of
// them, CLLM_SEED the number of the first.
#include <cstdlib>

#include "mutation_storm.h"

namespace cllm {
namespace {

std::uint64_t environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(Mutation, TenThousandChangesAreRefusedOrHarmless) {
  MutationStorm storm;
  storm.run(environment("CLLM_SEED", 1'000'000), environment("CLLM_MUTATIONS", 10'000));
  EXPECT_GT(storm.refused(), 0u);
}

}  // namespace
}  // namespace cllm
