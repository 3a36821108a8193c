// Lets one thread sleep until somebody has something for it, without losing a wake.
//
// Thread safety: park_unless is for the one owner, wake for anybody.
// Both sides do nothing but exchange the same word, so the exchanges have one order. If the waker's
// comes second it finds kParked and wakes. If it comes first the owner's exchange reads what the
// waker wrote (acquire, release) and therefore sees what the waker published before, and does not
// sleep. The owner's return to kRunning is an exchange too: a plain store would hide a waker that
// came between from the owner's next exchange. Rejected: a flag and a fence on each side; the
// sanitizer does not model fences.
#pragma once

#include <cstdint>

#include "sync/atomics.h"

namespace cllm {

template <class Atomics = StdAtomics>
class Parker {
 public:
  /// Sleeps once unless `ready()` holds; true when it slept. May return early: callers loop.
  template <class Ready>
  bool park_unless(Ready&& ready) noexcept {
    state_.exchange(kParked, std::memory_order_acq_rel);
    const bool sleep = !ready();
    if (sleep) Atomics::wait(state_, kParked);
    state_.exchange(kRunning, std::memory_order_acq_rel);
    return sleep;
  }

  /// REQUIRES: what `ready()` looks at was published (release) before.
  void wake() noexcept {
    if (state_.exchange(kRunning, std::memory_order_acq_rel) == kParked) Atomics::wake_one(state_);
  }

 private:
  static constexpr std::uint32_t kRunning = 0;
  static constexpr std::uint32_t kParked = 1;

  // Written by the owner and by whoever wakes it; ordered by the exchanges.
  typename Atomics::template Atomic<std::uint32_t> state_{kRunning};
};

}  // namespace cllm
