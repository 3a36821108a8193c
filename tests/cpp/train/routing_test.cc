// Whole runs are routed: data of which every sequence belongs to one position trains like any
// other, on every worker, with the same bits for every number of workers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "cllm/trainer.h"
#include "temporary_folder.h"
#include "watchdog.h"

namespace cllm {
namespace {

constexpr int kSteps = 4;

struct Adversary {
  const char* name;
  std::string text;
  std::int64_t symmetry, batch, positions;
};

std::string sorted_text() {
  std::string text;
  for (int i = 0; i < 3000; ++i) text.push_back(static_cast<char>(i * 120 / 3000 + 1));
  return text;
}

std::string one_group() {
  std::string text;
  for (int i = 0; i < 2000; ++i) text.push_back(static_cast<char>(i * 7 % 9 * 12 + 5));
  return text;
}

std::string prose() {
  std::string text;
  for (int i = 0; i < 90; ++i) text += "What is routed must not starve; " + std::to_string(i) + ".";
  return text;
}

std::vector<Adversary> adversaries() {
  return {{"OneToken", std::string(1000, 'a'), 12, 24, 12},
          {"OneGroup", one_group(), 12, 25, 12},
          {"Sorted", sorted_text(), 12, 24, 5},
          {"FewerSequencesThanPositions", prose(), 12, 3, 0},
          {"OneSequence", prose(), 64, 1, 0},
          {"TwoGroups", prose(), 2, 9, 2},
          {"SixtyFourGroups", prose(), 64, 70, 64}};
}

TrainConfig config_of(const TemporaryFolder& folder, const Adversary& a) {
  TrainConfig c;
  c.data = folder.file("data.txt", a.text);
  c.out = folder.path() + "/run";
  c.layers = 1;
  c.heads = 2;
  c.width = 16;
  c.sequence = 16;
  c.batch = a.batch;
  c.steps = kSteps;
  c.symmetry = a.symmetry;
  c.positions = a.positions;
  c.activate_all = true;
  c.gemm = "native";
  return c;
}

/// Trains, and sees that each worker is given work. Whether it comes in time to take some is for
/// the kernel to say: on a busy machine the workers that it wakes first run all of so small a step.
std::string trained(TrainConfig config, const std::string& workers) {
  config.workers = workers;
  Trainer trainer(config);
  for (int s = 0; s < kSteps; ++s) {
    const StepReport report = trainer.step();
    EXPECT_TRUE(std::isfinite(report.loss));
  }
  const std::string hash = trainer.weights_hash();
  std::int64_t sequences = 0, tokens = 0;
  for (const GroupReport& group : trainer.groups()) {
    EXPECT_LE(group.moved, group.sequences);
    sequences += group.sequences;
    tokens += group.tokens;
  }
  EXPECT_EQ(sequences, kSteps * config.batch * config.grad_accum);
  EXPECT_EQ(tokens, sequences * config.sequence);
  std::int64_t tiles = 0;
  for (const SphereReport& sphere : trainer.spheres()) {
    if (sphere.role.find("worker") == std::string::npos) continue;
    EXPECT_TRUE(sphere.active) << "sphere " << sphere.id << " of " << workers << " workers";
    tiles += sphere.tiles;
  }
  EXPECT_GT(tiles, 0);
  return hash;
}

class RoutedTraining : public testing::TestWithParam<Adversary> {};

TEST_P(RoutedTraining, StarvesNobodyAndHasOneAnswer) {
  const Watchdog watchdog("routed training", std::chrono::seconds(120));
  const TemporaryFolder folder;
  for (const char* routing : {"symmetry", "round_robin"}) {
    TrainConfig config = config_of(folder, GetParam());
    config.routing = routing;
    const std::string alone = trained(config, "1");
    EXPECT_EQ(trained(config, "2"), alone) << routing;
    EXPECT_EQ(trained(config, "5"), alone) << routing;
  }
}

INSTANTIATE_TEST_SUITE_P(Data, RoutedTraining, testing::ValuesIn(adversaries()),
                         [](const auto& test) { return test.param.name; });

// The counts of text whose groups are known: 'a' is token 97, of group 1 of twelve.
TEST(Routing, CountsWhatWasMovedToKeepTheBalance) {
  const TemporaryFolder folder;
  TrainConfig config = config_of(folder, adversaries()[0]);
  config.workers = "1";
  Trainer trainer(config);
  trainer.step();
  for (const GroupReport& group : trainer.groups()) {
    const bool all = group.group == 1;
    EXPECT_EQ(group.position, group.group);
    EXPECT_EQ(group.sequences, all ? 24 : 0) << group.group;
    EXPECT_EQ(group.tokens, all ? 24 * 16 : 0) << group.group;
    EXPECT_EQ(group.moved, all ? 22 : 0) << group.group;
  }
}

TEST(Routing, SeesTheWholeStepBatch) {
  const Watchdog watchdog("accumulated batches", std::chrono::seconds(60));
  const TemporaryFolder folder;
  for (const char* routing : {"symmetry", "round_robin"}) {
    TrainConfig whole = config_of(folder, adversaries()[2]);
    whole.routing = routing;
    TrainConfig parts = whole;
    parts.batch = whole.batch / 3;
    parts.grad_accum = 3;
    EXPECT_EQ(trained(parts, "2"), trained(whole, "1")) << routing;
  }
}

TEST(Routing, IsPartOfTheAnswerWhereThereArePositions) {
  const TemporaryFolder folder;
  TrainConfig config = config_of(folder, adversaries()[2]);
  const std::string by_symmetry = trained(config, "1");
  config.routing = "round_robin";
  EXPECT_NE(trained(config, "1"), by_symmetry);
}

// What the caller brings goes the same way as what is drawn from the data.
TEST(Routing, TakesTheCallersSequencesTheSameWay) {
  const TemporaryFolder folder;
  TrainConfig config = config_of(folder, adversaries()[2]);
  config.workers = "1";
  std::vector<std::int32_t> inputs, targets;
  for (int i = 0; i < 24 * 16; ++i) {
    inputs.push_back(i * 31 % 97);
    targets.push_back((i * 31 + 31) % 97);
  }
  const TokenArray in{inputs.data(), 24, 16}, out{targets.data(), 24, 16};
  std::string hashes[2];
  for (int r = 0; r < 2; ++r) {
    config.routing = r == 0 ? "symmetry" : "round_robin";
    Trainer trainer(config);
    trainer.step(in, out);
    hashes[r] = trainer.weights_hash();
    std::int64_t sequences = 0;
    for (const GroupReport& group : trainer.groups()) sequences += group.sequences;
    EXPECT_EQ(sequences, 24);
  }
  EXPECT_NE(hashes[0], hashes[1]);
}

}  // namespace
}  // namespace cllm
