// Workers run where the placement says, with memory near them, and no bit depends on it.
#include "cpu/placement.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "cpu/affinity.h"
#include "session_fixture.h"
#include "watchdog.h"

namespace cllm {
namespace {

constexpr int kMostWorkers = 64;

/// Where the workers of a session were found at their first tile, and what they trained.
struct Seen {
  std::vector<std::vector<int>> cpus;  // by worker; empty: it ran no tile
  std::string digest;
};

Seen train(std::int64_t workers, const Allowance& allowance) {
  const Watchdog watchdog("placed training", std::chrono::seconds(60));
  const TrainingCase c = training_cases()[0];
  Seen seen;
  seen.cpus.resize(static_cast<std::size_t>(workers));
  std::array<std::atomic<bool>, kMostWorkers> ran{};
  SessionConfig config = session_config(c, threads_for_workers(workers));
  config.tree.activate_all = false;
  config.tree.cores = allowance.most_workers();
  config.tree.cpus = allowance.ids();
  config.allowance = allowance;
  config.tree.before_tile = [&](int worker, const TileClaim&) {
    const auto w = static_cast<std::size_t>(worker);
    if (!ran[w].exchange(true)) seen.cpus[w] = thread_cpus();
  };
  Session session(config);
  start_weights(session.state());
  const TextBatches text(c);
  std::vector<std::int32_t> inputs, targets;
  for (int step = 0; step < 20; ++step) {
    text.fill(step, inputs, targets);
    session.step(step, {inputs.data(), targets.data()});
  }
  seen.digest = weights_digest(session.state());
  return seen;
}

TEST(TrainPlacement, BindsEachWorkerToItsCpu) {
  const Allowance ours = allowance();
  const int cores = ours.physical_workers();
  const TreePlan tree = plan_tree(threads_for_workers(cores));
  const Placement placement = plan_placement(ours, tree, cores);
  if (placement.worker_cpus.empty()) GTEST_SKIP() << placement.text;
  const std::vector<int> before = thread_cpus();
  const Seen bound = train(cores, ours);
  int found = 0;
  for (std::size_t w = 0; w < bound.cpus.size(); ++w) {
    if (bound.cpus[w].empty()) continue;  // a busy machine let the others run every tile
    EXPECT_EQ(bound.cpus[w], std::vector<int>{placement.worker_cpus[w]}) << "worker " << w;
    ++found;
  }
  EXPECT_GE(found, 1);
  EXPECT_EQ(thread_cpus(), before) << "the root stays free";

  Allowance shared = ours;
  shared.cores_are_ours = false;
  const Seen free = train(cores, shared);
  for (const std::vector<int>& cpus : free.cpus) {
    EXPECT_TRUE(cpus.empty() || cpus == ours.ids());
  }
  EXPECT_EQ(free.digest, bound.digest);
}

/// Pages of the buffer that have memory.
std::size_t resident_pages(const AlignedBuffer<float>& buffer) {
  constexpr std::size_t kPage = 4096;
  std::vector<unsigned char> pages((buffer.bytes() + kPage - 1) / kPage);
  EXPECT_EQ(mincore(const_cast<float*>(buffer.data()), buffer.bytes(), pages.data()), 0);
  return static_cast<std::size_t>(
      std::count_if(pages.begin(), pages.end(), [](unsigned char p) { return (p & 1) != 0; }));
}

// With several memory nodes the workers write to every page before the root does.
TEST(TrainPlacement, OwnersTouchTheStateFirst) {
  const Watchdog watchdog("first touch", std::chrono::seconds(60));
  TrainingCase c = training_cases()[0];
  c.width = 200;  // several blocks
  c.lattice = true;
  for (const int nodes : {1, 2}) {
    SessionConfig config = session_config(c, 14);
    std::atomic<int> tiles{0};
    config.tree.before_tile = [&](int, const TileClaim&) { ++tiles; };
    for (int cpu = 0; cpu < 4; ++cpu) config.allowance.cpus.push_back({cpu, cpu, 0, 0, 0, 0, 0});
    config.allowance.cpus.back().node = nodes - 1;
    Session session(config);
    const ModelState& state = session.state();
    EXPECT_EQ(tiles, nodes == 1 ? 0 : static_cast<int>(state.layout.weights().blocks().size()));
    for (const AlignedBuffer<float>* range : state.ranges()) {
      const std::size_t all = (range->bytes() + 4095) / 4096;
      EXPECT_EQ(resident_pages(*range), nodes == 1 ? 0 : all);
      for (const float x : range->span()) ASSERT_EQ(x, 0.0f);
    }
    for (const AlignedBuffer<float>* buffer :
         {&state.lattice->embedding(), &state.lattice->gradient()}) {
      EXPECT_EQ(resident_pages(*buffer), nodes == 1 ? 0 : (buffer->bytes() + 4095) / 4096);
    }
  }
}

TEST(TrainPlacement, LeavesTheCallingThreadAlone) {
  const std::vector<int> before = thread_cpus();
  const Seen alone = train(1, allowance());
  EXPECT_EQ(alone.cpus[0], before);
  EXPECT_EQ(thread_cpus(), before);
}

}  // namespace
}  // namespace cllm
