// Some hundred changes to the files of a run; the long tier makes ten thousand.
#include "mutation_storm.h"

namespace cllm {
namespace {

TEST(Mutation, SomeChangesAreRefusedOrHarmless) {
  MutationStorm storm;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr std::uint64_t kChanges = 75;  // each takes ten times as long
#else
  constexpr std::uint64_t kChanges = 300;
#endif
  storm.run(0, kChanges);
  EXPECT_GT(storm.refused(), kChanges / 3);
  EXPECT_GT(storm.accepted(), kChanges / 15) << "loading must be possible, or nothing is tested";
}

}  // namespace
}  // namespace cllm
