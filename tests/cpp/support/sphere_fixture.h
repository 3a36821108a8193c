// Tests of spheres use these trees, delays, and steps that run on them.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "spheres/tree.h"
#include "synthetic_step.h"
#include "watchdog.h"

namespace cllm {

/// Returns the threads of the trees that are tried: one sphere; no control; the borders where
/// controls appear; many; many more than any test machine has cores.
inline const std::vector<std::int64_t>& tried_threads() {
  static const std::vector<std::int64_t> threads = {1, 2, 3, 4, 13, 14, 64, 200};
  return threads;
}

/// Sleeps shortly or not at all, different each time, so that the order of events differs between
/// runs.
class RandomDelay {
 public:
  /// Sleeps in `of_16` of 16 calls, for at most 127 us.
  explicit RandomDelay(std::uint32_t of_16) : of_16_(of_16) {}
  void operator()(int salt) {
    const std::uint32_t turn = turn_.fetch_add(1, std::memory_order_relaxed);
    const std::uint32_t x = (turn + 977u * static_cast<std::uint32_t>(salt)) * 2654435761u;
    if ((x >> 28) >= of_16_) return;
    std::this_thread::sleep_for(std::chrono::microseconds((x >> 20) & 127));
  }

 private:
  const std::uint32_t of_16_;
  std::atomic<std::uint32_t> turn_{0};
};

/// Holds a tree and the steps that run on it, which outlive it.
class SphereRig {
 public:
  SphereRig(std::int64_t threads, const TreeOptions& options)
      : tree_(std::make_unique<SphereTree>(plan_tree(threads), options)) {}

  SphereTree& tree() { return *tree_; }
  SyntheticStep& add(const SyntheticStep::Shape& shape) {
    steps_.push_back(std::make_unique<SyntheticStep>(shape, *tree_));
    return *steps_.back();
  }
  /// Stops the tree; the steps stay.
  void destroy_tree() { tree_.reset(); }

 private:
  std::vector<std::unique_ptr<SyntheticStep>> steps_;
  std::unique_ptr<SphereTree> tree_;
};

}  // namespace cllm
