// This test kills whole runs a dozen times inside their file calls; storm_long_test.cc does so 200
// times.
#include "train_storm.h"
#include "watchdog.h"

namespace cllm {
namespace {

TEST(TrainStorm, ADozenKills) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer ends a forked child that starts threads";
#endif
  const Watchdog watchdog("a small storm", std::chrono::seconds(200));
  TrainStorm().rage(12, 4, 1);
}

TEST(TrainStorm, ADozenKillsOfAdapters) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer ends a forked child that starts threads";
#endif
  const Watchdog watchdog("a small storm over adapters", std::chrono::seconds(200));
  TrainStorm(Stormed::kAdapters).rage(12, 4, 3);
}

}  // namespace
}  // namespace cllm
