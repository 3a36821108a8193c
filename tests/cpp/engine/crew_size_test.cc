// These tests check what the start line says of workers and cores, and what `auto` chooses on
// recorded machines.
#include "engine/crew_size.h"

#include <gtest/gtest.h>

#include "recorded_machines.h"

namespace cllm {
namespace {

SessionConfig session_on(void (*record)(RecordedTree&), int cpus, const TrainConfig& config) {
  RecordedTree tree;
  record(tree);
  std::vector<int> all;
  for (int cpu = 0; cpu < cpus; ++cpu) all.push_back(cpu);
  SessionConfig session;
  set_crew(session, config, read_allowance(all, tree.root()));
  return session;
}

TrainConfig workers(const std::string& text) {
  TrainConfig config;
  config.workers = text;
  return config;
}

TEST(CrewSize, AutoIsAWorkerAPhysicalCore) {
  const SessionConfig xeon = session_on(record_xeon, 64, workers("auto"));
  EXPECT_EQ(xeon.active_workers(), 32);
  EXPECT_TRUE(xeon.tune_workers);
  EXPECT_EQ(describe_crew(xeon), "32 workers on 32 cores (64 hyperthreads), pinned");
  EXPECT_EQ(idle_cores_note(xeon), "");
  const SessionConfig pod = session_on(record_container, 16, workers("auto"));
  EXPECT_EQ(describe_crew(pod),
            "2 workers on 8 cores (16 hyperthreads) with a quota of 2.5, not pinned: a quota "
            "shares these cores");
  EXPECT_EQ(idle_cores_note(pod), "");
}

TEST(CrewSize, ANumberIsKept) {
  const SessionConfig two = session_on(record_laptop, 20, workers("2"));
  EXPECT_FALSE(two.tune_workers);
  EXPECT_EQ(two.active_workers(), 2);
  EXPECT_EQ(describe_crew(two),
            "2 workers on 14 cores (20 hyperthreads), not pinned: fewer workers than cores");
  EXPECT_EQ(idle_cores_note(two), "2 of 14 cores compute; --workers auto uses them all");
  TrainConfig many;
  many.threads = 64;
  const SessionConfig cloud = session_on(record_cloud, 2, many);
  EXPECT_TRUE(cloud.tune_workers) << "they cannot all compute at a time";
  EXPECT_EQ(describe_crew(cloud), "51 workers, 2 at a time, on 2 cores, pinned");
}

}  // namespace
}  // namespace cllm
