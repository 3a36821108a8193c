// A SphereWindow counts the work of every sphere during the training steps only, without evaluation
// and saving.
#pragma once

#include <vector>

#include "cllm/train_observer.h"
#include "spheres/tree.h"

namespace cllm {

/// Counts between resume() and pause(). Thread safety: the root's thread only.
class SphereWindow {
 public:
  explicit SphereWindow(const SphereTree& tree);

  /// Sets all counts to zero and starts to count.
  void restart();
  void pause();
  void resume();
  std::vector<SphereReport> report() const;

 private:
  struct Counts {
    double cpu = 0, busy = 0, parked = 0;
    std::uint64_t tiles = 0, messages_in = 0, messages_out = 0;
  };
  Counts read(int sphere) const;
  /// Returns the counts up to now, with the current span if it is counting.
  std::vector<Counts> totals() const;

  const SphereTree& tree_;
  bool running_ = false;
  std::uint64_t started_ns_ = 0;
  double wall_ = 0;
  std::vector<Counts> at_start_, sums_;
};

}  // namespace cllm
