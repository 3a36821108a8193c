// Which position has which buffer: kept by the root alone, so it needs no lock.
//
// Why it cannot run dry for ever. Positions get their buffers in index order; one that has its own
// may still wait for an earlier one to end. A buffer is held by a position that has not ended or by
// a sum that waits for its neighbours. When all that have one have ended, they are a prefix 0..m-1;
// what waits then are left neighbours on the path from the top of the merge tree to position m: at
// most one at a level merged in pairs, two at a level that ends in three (`most_waiting`). A pool
// of one more has a buffer free for position m. Otherwise the first that has not ended waits for
// nobody, is worked on, ends, and either frees a buffer by a merge or brings back the first case.
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
/// that who ends a position finds that the next has its buffer.
inline int pool_size(int positions, int workers) noexcept {
  const int enough = workers + most_waiting(positions) + 1;
  return positions < enough ? positions : enough;
}

}  // namespace cllm
