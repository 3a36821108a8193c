// Each sphere has counts, which its own thread writes and any thread reads at any time.
#pragma once

#include <atomic>
#include <cstdint>

namespace cllm {

/// A counter is a number with one writer. Reads and writes are relaxed: counts order nothing.
class Counter {
 public:
  void add(std::uint64_t n) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void raise_to(std::uint64_t n) noexcept {
    if (n > value_.load(std::memory_order_relaxed)) value_.store(n, std::memory_order_relaxed);
  }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// The counters have cache lines of their own, so that counting disturbs no other thread.
struct alignas(128) SphereCounters {
  Counter busy_ns;    ///< inside tiles
  Counter parked_ns;  ///< asleep in the kernel, for lack of work or of messages
  Counter tiles;
  Counter messages_in;
  Counter messages_out;
  Counter queue_high_water;
};

}  // namespace cllm
