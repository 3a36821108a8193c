// The memory of a forward stage: one workspace for each worker, and fewer where sequences are long.
#include "engine/forward_stage.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(ForwardStage, WorkersShareWorkspacesOfLongSequences) {
  ModelConfig config{2, 2, 16, 1 << 20, 50};
  config.family = Family::kLlama;
  const ParameterLayout layout(config);
  const auto workspaces = [&layout](std::int64_t length, int workers) {
    const ShardShape shard{ForwardStage::shard_sequences(length), length};
    const std::size_t one = Workspace::bytes_for(layout, shard, Pass::kForward);
    const std::size_t all =
        ForwardStage::bytes_for(layout, ForwardStage::most_sequences(length), length, workers);
    EXPECT_EQ(all % one, 0u);
    return all / one;
  };
  for (const std::int64_t length : {1, 100, 1024, 1025, 4096}) {
    EXPECT_EQ(workspaces(length, 1), 1u) << length;
    EXPECT_EQ(workspaces(length, 7), 7u) << length;
  }
  EXPECT_EQ(workspaces(5000, 7), 5u);
  EXPECT_EQ(workspaces(40960, 16), 1u);
  EXPECT_EQ(workspaces(1 << 20, 1), 1u) << "a sequence is never cut";
}

}  // namespace
}  // namespace cllm
