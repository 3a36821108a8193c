// The pool of gradient buffers always lets a step continue: every schedule of positions and merges
// that opens positions in order ends, for all K and few workers.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "plan/batch_plan.h"
#include "reduce/buffer_pool.h"
#include "reduce/reduce.h"

namespace cllm {
namespace {

/// Plays a step with `buffers`: opens what it can, then ends the open position that `pick` says and
/// does every merge that is ready. Returns how many positions were opened.
template <class Pick>
int play(int positions, int buffers, Pick pick) {
  const std::vector<MergePlan> merges = plan_merges(positions);
  const std::vector<int> holders = buffer_positions(positions, merges);
  std::vector<char> ready(static_cast<std::size_t>(positions) + merges.size(), 0);
  std::vector<int> buffer_of(static_cast<std::size_t>(positions), -1);
  std::vector<char> merged(merges.size(), 0);
  std::vector<int> open;
  BufferPool pool(buffers);
  int next = 0;
  for (;;) {
    while (next < positions && !pool.empty()) {
      buffer_of[static_cast<std::size_t>(next)] = pool.take();
      open.push_back(next++);
    }
    if (open.empty()) return next;
    const std::size_t i = pick(open.size());
    ready[static_cast<std::size_t>(open[i])] = 1;
    open.erase(open.begin() + static_cast<std::ptrdiff_t>(i));
    for (std::size_t m = 0; m < merges.size(); ++m) {  // inputs have lower indices than outputs
      const MergePlan& merge = merges[m];
      const auto is_ready = [&](int node) { return ready[static_cast<std::size_t>(node)] != 0; };
      if (merged[m] || !std::all_of(merge.inputs, merge.inputs + merge.count, is_ready)) continue;
      merged[m] = 1;
      ready[static_cast<std::size_t>(positions) + m] = 1;
      for (int s = 1; s < merge.count; ++s) {
        const int holder = holders[static_cast<std::size_t>(merge.inputs[s])];
        pool.give(buffer_of[static_cast<std::size_t>(holder)]);
      }
    }
  }
}

TEST(BufferPool, EveryPositionOpens) {
  for (int positions = 1; positions <= 300; ++positions) {
    for (int workers = 1; workers <= 3; ++workers) {
      const int buffers = pool_size(positions, workers);
      EXPECT_LE(buffers, positions);
      EXPECT_EQ(play(positions, buffers, [](std::size_t) { return std::size_t{0}; }), positions);
      EXPECT_EQ(play(positions, buffers, [](std::size_t n) { return n - 1; }), positions);
      std::size_t turn = 0;
      EXPECT_EQ(play(positions, buffers, [&](std::size_t n) { return (turn += 7) % n; }),
                positions);
    }
  }
}

// The bound is what is needed and no more: with fewer buffers some step stops for ever.
TEST(BufferPool, OneBufferLessStops) {
  for (int positions : {2, 3, 7, 12, 13, 15, 31, 63}) {
    const auto in_order = [](std::size_t) { return std::size_t{0}; };
    EXPECT_EQ(play(positions, most_waiting(positions) + 1, in_order), positions) << positions;
    EXPECT_LT(play(positions, most_waiting(positions), in_order), positions) << positions;
  }
}

TEST(BufferPool, GivesEachBufferOnce) {
  BufferPool pool(3);
  std::vector<int> taken;
  while (!pool.empty()) taken.push_back(pool.take());
  std::sort(taken.begin(), taken.end());
  EXPECT_EQ(taken, (std::vector<int>{0, 1, 2}));
  pool.give(1);
  EXPECT_FALSE(pool.empty());
  EXPECT_EQ(pool.take(), 1);
}

}  // namespace
}  // namespace cllm
