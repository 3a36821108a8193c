// Sums over positions and blocks add every contribution once, in the tree's order; the pool of
// buffers works while positions and merges run side by side.
#include "reduce/reduce.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <vector>

#include "cpu/features.h"
#include "model/layout.h"
#include "reduce/buffer_pool.h"

namespace cllm {
namespace {

/// Tensors of awkward sizes, two blocks of an embedding, padding in between.
ParameterLayout awkward_layout() { return ParameterLayout({1, 1, 37, 3, 1801}); }

/// Distinct by (position, element) and exact in sums of 24: a lost, doubled or displaced term
/// shows.
float contribution(int position, std::int64_t element) {
  return static_cast<float>((position + 1) * 1021 % 509 * 64 + (element * 7 + position) % 61);
}

/// All merges of the plan on all blocks, each in the buffer of its first input.
void merge_all(const KernelTable& table, const ParameterLayout& layout, int positions,
               std::vector<std::vector<float>>& buffers) {
  const std::vector<MergePlan> merges = plan_merges(positions);
  const std::vector<int> holder = buffer_positions(positions, merges);
  const auto buffer = [&](int node) {
    return buffers[static_cast<std::size_t>(holder[static_cast<std::size_t>(node)])].data();
  };
  for (const MergePlan& merge : merges) {
    const float* sources[3] = {};
    for (int i = 0; i < merge.count; ++i) sources[i] = buffer(merge.inputs[i]);
    for (const Block& block : layout.trainables().blocks()) {
      merge_block(table, block, {sources, static_cast<std::size_t>(merge.count)},
                  buffer(merge.inputs[0]));
    }
  }
}

TEST(Merge, AddsEveryContributionOnceAndTouchesNoPadding) {
  const ParameterLayout layout = awkward_layout();
  const auto size = static_cast<std::size_t>(layout.flat_size());
  for (const KernelTable* table : runnable_kernels()) {
    for (int positions = 1; positions <= 24; ++positions) {
      std::vector<std::vector<float>> buffers(static_cast<std::size_t>(positions),
                                              std::vector<float>(size, -5.0f));
      for (int p = 0; p < positions; ++p) {
        for (const Block& b : layout.trainables().blocks()) {
          for (std::int64_t i = b.offset; i < b.offset + b.size; ++i) {
            buffers[static_cast<std::size_t>(p)][static_cast<std::size_t>(i)] = contribution(p, i);
          }
        }
      }
      merge_all(*table, layout, positions, buffers);
      std::vector<float> wanted(size, -5.0f);
      for (const Block& b : layout.trainables().blocks()) {
        for (std::int64_t i = b.offset; i < b.offset + b.size; ++i) {
          float sum = 0;
          for (int p = 0; p < positions; ++p) sum += contribution(p, i);
          wanted[static_cast<std::size_t>(i)] = sum;
        }
      }
      ASSERT_EQ(buffers.front(), wanted) << table->name << ", " << positions << " positions";
    }
  }
}

/// With numbers that round, the order shows.
TEST(Merge, AddsNeighboursLevelByLevel) {
  const ParameterLayout layout = awkward_layout();
  const auto size = static_cast<std::size_t>(layout.flat_size());
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<std::vector<float>> buffers(12, std::vector<float>(size));
  for (auto& buffer : buffers) {
    for (float& x : buffer) x = uniform(random);
  }
  const auto before = buffers;
  const auto at = [&](std::size_t p, std::size_t i) { return before[p][i]; };
  merge_all(kernels(), layout, 12, buffers);
  std::size_t straight = 0;
  for (const Block& b : layout.trainables().blocks()) {
    for (std::int64_t j = b.offset; j < b.offset + b.size; ++j) {
      const auto i = static_cast<std::size_t>(j);
      const float a = (at(0, i) + at(1, i)) + (at(2, i) + at(3, i));
      const float c = (at(4, i) + at(5, i)) + (at(6, i) + at(7, i));
      const float d = (at(8, i) + at(9, i)) + (at(10, i) + at(11, i));
      ASSERT_EQ(buffers[0][i], (a + c) + d) << i;
      float sum = at(0, i);
      for (std::size_t p = 1; p < 12; ++p) sum += at(p, i);
      straight += sum == buffers[0][i];
    }
  }
  EXPECT_LT(straight, size * 3 / 4) << "the order does not show in these numbers";
}

TEST(Norm, IsTheRootOfAllSquaresInBlockOrder) {
  const ParameterLayout layout = awkward_layout();
  std::vector<float> gradient(static_cast<std::size_t>(layout.flat_size()), NAN);  // as padding is
  std::mt19937 random(4);
  std::uniform_real_distribution<float> uniform(-1, 1);
  double squares = 0;
  for (const TensorEntry& t : layout.tensors()) {
    for (std::int64_t i = t.offset; i < t.offset + t.size; ++i) {
      float& x = gradient[static_cast<std::size_t>(i)];
      x = uniform(random);
      squares += double{x} * double{x};
    }
  }
  for (const KernelTable* table : runnable_kernels()) {
    std::vector<double> partials;
    for (const Block& b : layout.trainables().blocks()) {
      partials.push_back(norm_partial(*table, b, gradient.data()));
    }
    EXPECT_NEAR(global_norm(partials), std::sqrt(squares), 4e-6 * std::sqrt(squares));
  }
  const std::vector<double> order = {1e16, 1.0, 1.0};  // the two ones are lost one by one
  EXPECT_EQ(global_norm(order), std::sqrt(1e16));
  EXPECT_EQ(global_norm(Span<const double>()), 0.0);
}

TEST(BufferPositions, FollowTheFirstInput) {
  EXPECT_EQ(buffer_positions(1, plan_merges(1)), (std::vector<int>{0}));
  EXPECT_EQ(buffer_positions(3, plan_merges(3)), (std::vector<int>{0, 1, 2, 0}));
  EXPECT_EQ(buffer_positions(5, plan_merges(5)), (std::vector<int>{0, 1, 2, 3, 4, 0, 2, 0}));
  EXPECT_EQ(
      buffer_positions(12, plan_merges(12)),
      (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 2, 4, 6, 8, 10, 0, 4, 8, 0}));
}

TEST(PoolSize, IsTheSmallerOfPositionsAndWhatWorkersNeed) {
  EXPECT_EQ(pool_size(1, 8), 1);
  EXPECT_EQ(pool_size(12, 1), 6);
  EXPECT_EQ(pool_size(12, 2), 7);
  EXPECT_EQ(pool_size(12, 8), 12);
  EXPECT_EQ(pool_size(8, 1), 5);
  EXPECT_EQ(pool_size(9, 1), 6);
  EXPECT_EQ(pool_size(24, 26), 24);
}

enum class Ends { kRandom, kOldestFirst, kNewestFirst };

/// Opens positions in order as buffers allow, one more at a time than there are workers; positions
/// and merges that run end in some order. Returns how many positions were opened in all.
int simulate(int positions, int workers, int buffers, Ends ends, unsigned seed) {
  const std::vector<MergePlan> merges = plan_merges(positions);
  const std::vector<int> holder = buffer_positions(positions, merges);
  const int nodes = positions + static_cast<int>(merges.size());
  std::vector<int> parent(static_cast<std::size_t>(nodes), -1), waiting, buffer_of;
  for (int m = 0; m < static_cast<int>(merges.size()); ++m) {
    const MergePlan& merge = merges[static_cast<std::size_t>(m)];
    waiting.push_back(merge.count);
    for (int i = 0; i < merge.count; ++i) {
      parent[static_cast<std::size_t>(merge.inputs[i])] = positions + m;
    }
  }
  buffer_of.assign(static_cast<std::size_t>(positions), -1);
  BufferPool pool(buffers);
  std::set<int> held;
  std::vector<int> running;
  std::mt19937 random(seed);
  int opened = 0, open = 0;
  const auto open_all = [&] {
    while (opened < positions && open <= workers && !pool.empty()) {
      const int buffer = pool.take();
      EXPECT_TRUE(held.insert(buffer).second) << "buffer " << buffer << " was given twice";
      buffer_of[static_cast<std::size_t>(opened)] = buffer;
      running.push_back(opened++);
      ++open;
    }
  };
  open_all();
  while (!running.empty()) {
    std::size_t next = 0;
    if (ends == Ends::kRandom) next = random() % running.size();
    if (ends == Ends::kNewestFirst) next = running.size() - 1;
    const int node = running[next];
    running.erase(running.begin() + static_cast<std::ptrdiff_t>(next));
    if (node < positions) {
      --open;
    } else {
      const MergePlan& merge = merges[static_cast<std::size_t>(node - positions)];
      for (int i = 1; i < merge.count; ++i) {
        const int position = holder[static_cast<std::size_t>(merge.inputs[i])];
        const int buffer = buffer_of[static_cast<std::size_t>(position)];
        EXPECT_EQ(held.erase(buffer), 1u) << "buffer " << buffer << " was given back twice";
        pool.give(buffer);
      }
    }
    const int above = parent[static_cast<std::size_t>(node)];
    if (above >= 0 && --waiting[static_cast<std::size_t>(above - positions)] == 0) {
      running.push_back(above);
    }
    open_all();
  }
  if (opened == positions) {
    EXPECT_EQ(held.size(), 1u) << "only the sum of all keeps its buffer";
    EXPECT_EQ(buffer_of.front(), *held.begin());
  }
  return opened;
}

TEST(BufferPool, NeverRunsDryForEver) {
  for (int positions = 1; positions <= 24; ++positions) {
    for (int workers = 1; workers <= 26; ++workers) {
      const int buffers = pool_size(positions, workers);
      ASSERT_EQ(simulate(positions, workers, buffers, Ends::kOldestFirst, 0), positions);
      ASSERT_EQ(simulate(positions, workers, buffers, Ends::kNewestFirst, 0), positions);
      for (unsigned seed = 0; seed < 20; ++seed) {
        ASSERT_EQ(simulate(positions, workers, buffers, Ends::kRandom, seed), positions)
            << workers << " workers, seed " << seed;
        // Even without the workers' share nothing stands still.
        ASSERT_EQ(simulate(positions, workers, pool_size(positions, 0), Ends::kRandom, seed),
                  positions)
            << workers << " workers, seed " << seed << ", smallest pool";
      }
    }
  }
}

}  // namespace
}  // namespace cllm
