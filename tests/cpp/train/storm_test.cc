// These tests kill whole runs a dozen times inside their file calls; storm_long_test.cc does so 200
// times.
#include "train_storm.h"
#include "watchdog.h"

namespace cllm {
namespace {

void small_storm(Stormed what, std::uint64_t seed) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer ends a forked child that starts threads";
#endif
  const Watchdog watchdog("a small storm", std::chrono::seconds(200));
  TrainStorm(what).rage(12, 4, seed);
}

TEST(TrainStorm, ADozenKills) { small_storm(Stormed::kText, 1); }
TEST(TrainStorm, ADozenKillsOfAdapters) { small_storm(Stormed::kAdapters, 3); }

}  // namespace
}  // namespace cllm
