// Lets many threads sleep until what they wait for may have come. No wake is lost, and the event
// count does not know what they wait for.
//
// A sleeper announces itself, looks once more, and sleeps; a notifier publishes, then counts up.
// Both change the same word, so the changes have one order. If the notifier's change comes first,
// the sleeper's announcement reads it (acquire, release) and its look finds what was published. If
// it comes second, the notifier sees an announced sleeper and wakes it; a sleeper that has not
// fallen asleep yet finds the epoch changed and stays awake.
#pragma once

#include <cstdint>

#include "sync/atomics.h"
#include "sync/mpsc_queue.h"

namespace cllm {

/// Thread safety: any thread may call every function.
template <class Atomics = StdAtomics>
class EventCount {
 public:
  /// Announces a sleeper, who must then look once more. If the look finds something, call cancel(),
  /// otherwise wait() with the value returned here.
  std::uint32_t prepare() noexcept {
    return epoch_of(word_.fetch_add(1, std::memory_order_acq_rel));
  }
  void cancel() noexcept { word_.fetch_sub(1, std::memory_order_acq_rel); }

  /// Sleeps until the next notify() after prepare(); may return early.
  void wait(std::uint32_t epoch) noexcept {
    Atomics::wait_high(word_, epoch);
    cancel();
  }
  /// Returns the value for notified_since(); announces nothing.
  std::uint32_t epoch() const noexcept { return epoch_of(word_.load(std::memory_order_acquire)); }
  /// Says whether wait() would return at once.
  bool notified_since(std::uint32_t epoch) const noexcept {
    return epoch_of(word_.load(std::memory_order_acquire)) != epoch;
  }

  /// Wakes at most `count` sleepers. REQUIRES: what they look for was published before (release).
  void notify(int count) noexcept {
    if (waiters_of(word_.fetch_add(kEpoch, std::memory_order_acq_rel)) != 0) {
      Atomics::wake_high(word_, count);
    }
  }
  /// Guesses, for wakes that nobody depends on.
  bool has_waiters() const noexcept {
    return waiters_of(word_.load(std::memory_order_relaxed)) != 0;
  }

 private:
  static constexpr std::uint64_t kEpoch = std::uint64_t{1} << 32;
  static constexpr std::uint32_t epoch_of(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>(word >> 32);
  }
  static constexpr std::uint32_t waiters_of(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>(word);
  }

  // The epoch, which is the futex (high half), and the number of announced sleepers (low half).
  // Written by sleepers and notifiers; ordered by the additions.
  alignas(kCacheLinePair) typename Atomics::template Atomic<std::uint64_t> word_{0};
};

}  // namespace cllm
