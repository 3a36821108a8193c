// This test kills whole runs two hundred times inside their file calls, and lets the disk fail as
// often.
#include "train_storm.h"

namespace cllm {
namespace {

TEST(TrainStorm, TwoHundredKills) { TrainStorm().rage(200, 2, 2); }

}  // namespace
}  // namespace cllm
