// Some hundred changes to the files of a run; the long tier makes ten thousand.
#include "mutation_storm.h"

namespace cllm {
namespace {

TEST(Mutation, SomeChangesAreRefusedOrHarmless) {
  MutationStorm storm;
  storm.run(0, 300);
  EXPECT_GT(storm.refused(), 100u);
  EXPECT_GT(storm.accepted(), 20u) << "loading must be possible, or nothing is tested";
}

}  // namespace
}  // namespace cllm
