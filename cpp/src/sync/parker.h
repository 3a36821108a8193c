// Lets one thread sleep until another has something for it; no wake is lost.
//
// Thread safety: park_unless is for the one owner; any thread may call wake. Both sides do nothing
// but exchange the same word, so the exchanges have one order. If the waker's exchange comes
// second, it finds kParked and wakes the owner. If it comes first, the owner's exchange reads what
// the waker wrote (acquire, release), so the owner sees what the waker published before and does
// not sleep. The owner's return to kRunning is an exchange too: a plain store would hide a waker
// that came in between from the owner's next exchange. Rejected: a flag and a fence on each side,
// because the sanitizer does not model fences.
#pragma once

#include <cstdint>

#include "sync/atomics.h"

namespace cllm {

template <class Atomics = StdAtomics>
class Parker {
 public:
  /// Sleeps once unless `ready()` holds; true when it slept. It may return early, so callers loop.
  template <class Ready>
  bool park_unless(Ready&& ready) noexcept {
    state_.exchange(kParked, std::memory_order_acq_rel);
    const bool sleep = !ready();
    if (sleep) Atomics::wait(state_, kParked);
    state_.exchange(kRunning, std::memory_order_acq_rel);
    return sleep;
  }

  /// Wakes the owner. REQUIRES: what `ready()` looks at was published (release) before.
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
