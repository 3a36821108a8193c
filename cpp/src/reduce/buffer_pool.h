// The pool knows which gradient buffers are free. Only the root uses it, so it needs no lock.
//
// It cannot stay empty forever. Positions get their buffers in index order; a position that has a
// buffer may still wait for an earlier one to end. A buffer is held either by a position that has
// not ended or by a sum that waits for its neighbours. Suppose all positions that have a buffer
// have ended; they are a prefix 0..m-1. Then the waiting sums are left neighbours on the path from
// the top of the merge tree to position m: at most one at a level merged in pairs, and two at a
// level that ends in three (`most_waiting`). A pool with one buffer more than that has one free for
// position m. Otherwise the first position that has not ended waits for nobody, is worked on, and
// ends; this either frees a buffer by a merge or leads to the first case.
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
  /// Gives a buffer back. It never allocates, because the pool once held every buffer.
  void give(int buffer) noexcept { free_.push_back(buffer); }

 private:
  std::vector<int> free_;
};

/// Counts the sums that can wait at most while no position is open, over all levels of
/// plan_merges(K).
inline int most_waiting(int positions) noexcept {
  int waiting = 0;
  for (int nodes = positions; nodes > 1; nodes /= 2) waiting += nodes % 2 == 0 ? 1 : 2;
  return waiting;
}

/// Returns min(K, W + most_waiting(K) + 1): enough buffers for W open positions and the waiting
/// sums, and one more so that a worker who ends a position finds the next one with its buffer.
inline int pool_size(int positions, int workers) noexcept {
  const int enough = workers + most_waiting(positions) + 1;
  return positions < enough ? positions : enough;
}

}  // namespace cllm
