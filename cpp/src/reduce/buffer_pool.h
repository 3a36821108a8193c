// Which position has which buffer: kept by the root alone, so it needs no lock.
//
// Why it cannot run dry for ever. Positions are opened in index order. A buffer is held by an open
// position or by a sum that waits for its neighbours. When no position is open, those opened so far
// are a prefix 0..m-1; what waits then are left neighbours on the path from the top of the merge
// tree to position m: at most one at a level merged in pairs, two at a level that ends in three
// (`most_waiting`). A pool of one more has a buffer free and position m opens. When some position
// is open it is being worked on, ends, and either frees a buffer by a merge or brings back the
// first case.
#pragma once

#include <vector>

namespace cllm {

class BufferPool {
 public:
  explicit BufferPool(int buffers) {
    for (int b = buffers - 1; b >= 0; --b) free_.push_back(b);
  }
  bool empty() const noexcept { return free_.empty(); }
  /// REQUIRES: not empty.
  int take() noexcept {
    const int buffer = free_.back();
    free_.pop_back();
    return buffer;
  }
  /// Never allocates: the pool once held every buffer.
  void give(int buffer) noexcept { free_.push_back(buffer); }

 private:
  std::vector<int> free_;
};

/// The most sums that wait while no position is open: over the levels of plan_merges(K).
inline int most_waiting(int positions) noexcept {
  int waiting = 0;
  for (int nodes = positions; nodes > 1; nodes /= 2) waiting += nodes % 2 == 0 ? 1 : 2;
  return waiting;
}

/// min(K, W + most_waiting(K) + 1): enough for W open positions and the sums that wait, and one so
/// that who ends a position finds the next one open.
inline int pool_size(int positions, int workers) noexcept {
  const int enough = workers + most_waiting(positions) + 1;
  return positions < enough ? positions : enough;
}

}  // namespace cllm
