// Two hundred kills inside the file calls of whole runs, and as many failures of the disk.
#include "train_storm.h"

namespace cllm {
namespace {

TEST(TrainStorm, TwoHundredKills) { TrainStorm().rage(200, 2, 2); }

}  // namespace
}  // namespace cllm
