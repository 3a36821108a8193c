// PhaseOrder gives the order that a plain search of all pairs gives, at a cost that does not grow
// with the number of earlier phases.
#include "model/phase_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "model/decoder_phases.h"

namespace cllm {
namespace {

using Accesses = std::vector<Access>;

bool conflict(const Access& a, const Access& b) {
  return a.buffer == b.buffer && (a.writes || b.writes) && a.rows.begin < b.rows.end &&
         b.rows.begin < a.rows.end;
}

/// For each phase which of all earlier ones must be finished before it: the quadratic way.
class AllBefore {
 public:
  void add(const std::vector<std::int32_t>& waits) {
    std::vector<char> all(before_.size() + 1, 0);
    for (const std::int32_t wait : waits) {
      const std::vector<char>& of = before_[static_cast<std::size_t>(wait)];
      for (std::size_t p = 0; p < of.size(); ++p) all[p] = all[p] != 0 || of[p] != 0 ? 1 : 0;
      all[static_cast<std::size_t>(wait)] = 1;
    }
    before_.push_back(std::move(all));
  }
  bool operator==(const AllBefore& other) const { return before_ == other.before_; }

 private:
  std::vector<std::vector<char>> before_;
};

std::vector<std::int32_t> waits_of_all_pairs(const std::vector<Accesses>& phases, std::size_t p) {
  std::vector<std::int32_t> waits;
  for (std::size_t before = 0; before < p; ++before) {
    const bool any = std::any_of(phases[p].begin(), phases[p].end(), [&](const Access& a) {
      return std::any_of(phases[before].begin(), phases[before].end(),
                         [&](const Access& b) { return conflict(a, b); });
    });
    if (any) waits.push_back(static_cast<std::int32_t>(before));
  }
  return waits;
}

/// The same phases in the same order, by PhaseOrder and by all pairs.
void expect_same_order(const std::vector<Accesses>& phases) {
  PhaseOrder order;
  AllBefore by_order, by_pairs;
  for (std::size_t p = 0; p < phases.size(); ++p) {
    by_order.add(order.add(phases[p]));
    by_pairs.add(waits_of_all_pairs(phases, p));
  }
  EXPECT_TRUE(by_order == by_pairs);
}

ModelConfig model_of(std::int64_t layers, std::int64_t width, std::int64_t vocabulary) {
  ModelConfig model;
  model.layers = layers;
  model.heads = 2;
  model.width = width;
  model.context = 64;
  model.vocabulary = vocabulary;
  return model;
}

/// The accesses of shards of so many sequences that follow one another.
std::vector<Accesses> accesses_of(const ModelConfig& model, std::int64_t length, Pass pass,
                                  const std::vector<std::int64_t>& shards) {
  const ParameterLayout layout(model);
  std::vector<Accesses> all;
  for (const std::int64_t sequences : shards) {
    const ShardProgram program(model, layout, {sequences, length}, pass, WeightLayout::kPlain);
    for (const Phase& phase : program.phases()) all.push_back(phase.accesses);
  }
  return all;
}

TEST(PhaseOrder, OrdersShardsAsAllPairsDo) {
  for (const Pass pass : {Pass::kForward, Pass::kTraining, Pass::kRecomputing}) {
    for (const std::int64_t width : {16, 640}) {
      SCOPED_TRACE(std::to_string(static_cast<int>(pass)) + ", width " + std::to_string(width));
      expect_same_order(accesses_of(model_of(2, width, 300), 64, pass, {5, 5, 5, 4, 4}));
      expect_same_order(accesses_of(model_of(1, width, 60000), 64, pass, {9, 9, 8}));
    }
  }
}

TEST(PhaseOrder, OrdersAccessesOfAnyRowsAsAllPairsDo) {
  std::mt19937 random(7);
  const auto up_to = [&](int most) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(most));
  };
  for (int round = 0; round < 30; ++round) {
    std::vector<Accesses> phases(60);
    for (Accesses& accesses : phases) {
      for (std::int64_t left = 1 + up_to(3); left > 0; --left) {
        const std::int64_t begin = up_to(20), end = begin + 1 + up_to(12);
        accesses.push_back({static_cast<std::int32_t>(up_to(4)), {begin, end}, up_to(2) == 0});
      }
    }
    expect_same_order(phases);
  }
}

TEST(PhaseOrder, CostsTheSameForEveryShard) {
  const std::vector<Accesses> shard = accesses_of(model_of(2, 640, 300), 64, Pass::kTraining, {16});
  PhaseOrder order;
  std::vector<std::int64_t> looks;
  for (int s = 0; s < 40; ++s) {
    const std::int64_t before = order.looks();
    for (const Accesses& accesses : shard) order.add(accesses);
    looks.push_back(order.looks() - before);
  }
  for (std::size_t s = 2; s < looks.size(); ++s) EXPECT_EQ(looks[s], looks[1]) << "shard " << s;
}

}  // namespace
}  // namespace cllm
