// Which position has which buffer: kept by the root alone, so it needs no lock.
//
// Why it cannot run dry for ever. Positions are opened in index order. A buffer is held by an open
// position or by a sum that waits for its neighbour. When no position is open, those opened so far
// are a prefix 0..m-1 whose sums cover it with at most ceil(log2 K) complete subtrees, so a pool of
// ceil(log2 K) + 1 has one free and position m opens. When some position is open it is being worked
// on, ends, and either frees a buffer by a merge or brings back the first case.
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

/// min(K, W + ceil(log2 K) + 1): enough for W open positions and the sums that wait, see above.
inline int pool_size(int positions, int workers) noexcept {
  int levels = 0;
  while ((1 << levels) < positions) ++levels;
  const int enough = workers + levels + 1;
  return positions < enough ? positions : enough;
}

}  // namespace cllm
