// This test makes some hundred changes to the files of a run; the long tier makes ten thousand.
#include "mutation_storm.h"
#include "sanitized.h"

namespace cllm {
namespace {

TEST(Mutation, SomeChangesAreRefusedOrHarmless) {
  MutationStorm storm;
  constexpr std::uint64_t kChanges = kSanitized ? 75 : 300;
  storm.run(0, kChanges);
  EXPECT_GT(storm.refused(), kChanges / 3);
  EXPECT_GT(storm.accepted(), kChanges / 15) << "loading must be possible, or nothing is tested";
}

}  // namespace
}  // namespace cllm
