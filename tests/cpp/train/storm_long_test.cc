// These tests kill whole runs two hundred times inside their file calls, and let the disk fail as
// often; what is killed goes on with another number of workers.
#include "train_storm.h"

namespace cllm {
namespace {

TEST(TrainStorm, TwoHundredKills) { TrainStorm().rage(200, 2, 2); }
TEST(TrainStorm, TwoHundredKillsOfFineTuning) { TrainStorm(Stormed::kExamples).rage(200, 2, 4); }
TEST(TrainStorm, TwoHundredKillsOfAdapters) { TrainStorm(Stormed::kAdapters).rage(200, 2, 5); }

}  // namespace
}  // namespace cllm
