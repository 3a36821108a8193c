// The atomics that the lock-free parts are written against: a template parameter, so that the same
// source also compiles against a model checker.
#pragma once

#include <atomic>
#include <cstdint>

#include "sync/futex.h"

namespace cllm {

/// The real thing: std::atomic and the kernel's futex.
struct StdAtomics {
  template <class T>
  using Atomic = std::atomic<T>;

  /// Sleeps while `word` holds `expected`; may return early.
  static void wait(const Atomic<std::uint32_t>& word, std::uint32_t expected) noexcept {
    futex_wait(&word, expected);
  }
  static void wake_one(const Atomic<std::uint32_t>& word) noexcept { futex_wake(&word, 1); }
};

}  // namespace cllm
