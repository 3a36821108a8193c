// A trainer that nobody asks for a step costs nothing, however many spheres it has.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "cllm/trainer.h"
#include "session_fixture.h"
#include "temporary_folder.h"
#include "watchdog.h"

namespace cllm {
namespace {

double cpu_of_all_but_the_root(const Trainer& trainer) {
  double sum = 0;
  for (const SphereReport& s : trainer.spheres()) sum += s.id > 0 ? s.cpu_seconds : 0;
  return sum;
}

void expect_idle(bool activate_all) {
  const Watchdog watchdog("an idle trainer", std::chrono::seconds(100));
  const TemporaryFolder folder;
  TrainConfig config;
  config.data = folder.file("text.txt", english());
  config.out = folder / "run";
  config.threads = 64;
  config.activate_all = activate_all;
  Trainer trainer(config);
  for (int step = 0; step < 5; ++step) trainer.step();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // who was late falls asleep
  const double before = cpu_of_all_but_the_root(trainer);
  std::this_thread::sleep_for(std::chrono::seconds(5));
  EXPECT_LT(cpu_of_all_but_the_root(trainer) - before, 1e-3) << "all 63 together";
  trainer.step();
  if (!activate_all && std::thread::hardware_concurrency() < 2) return;  // the root computes
  EXPECT_GT(cpu_of_all_but_the_root(trainer) - before, 1e-3) << "time is counted";
}

TEST(TrainParked, AnIdleTrainerOf64SpheresCostsNothing) { expect_idle(false); }
TEST(TrainParked, AnIdleTrainerOf51WorkersCostsNothing) { expect_idle(true); }

}  // namespace
}  // namespace cllm
