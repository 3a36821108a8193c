// This test checks what a plan says before the work begins.
#include "setup/run_plan.h"

#include <gtest/gtest.h>

#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

TEST(RunPlan, SaysWhatWillTakeSecondsBeforeItBegins) {
  const TemporaryFolder folder;
  TrainConfig config;
  config.data = folder.file("text.txt", std::string(5000, 'a'));
  config.out = folder / "run";
  config.layers = 1;
  config.heads = 2;
  config.width = 16;
  EXPECT_EQ(describe_preparation(plan_run(config)), "");
  config.layers = 12;
  config.heads = 12;
  config.width = 768;  // 85 million parameters
  const std::string said = describe_preparation(plan_run(config));
  EXPECT_TRUE(has(said, "preparing ")) << said;
  EXPECT_TRUE(has(said, " weights")) << said;
}

}  // namespace
}  // namespace cllm
