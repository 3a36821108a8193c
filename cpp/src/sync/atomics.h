// The lock-free parts take their atomics as a template parameter, so that the same source also
// compiles against a model checker.
#pragma once

#include <atomic>
#include <cstdint>

#include "sync/futex.h"

namespace cllm {

/// The program itself uses std::atomic and the kernel's futex.
struct StdAtomics {
  template <class T>
  using Atomic = std::atomic<T>;
  /// Holds what one thread writes and another reads after an atomic has ordered the two.
  template <class T>
  using Plain = T;

  /// Pauses for one turn of a spinning loop.
  static void pause() noexcept { spin_pause(); }

  /// Sleeps while `word` holds `expected`; may return early.
  static void wait(const Atomic<std::uint32_t>& word, std::uint32_t expected) noexcept {
    futex_wait(&word, expected);
  }
  static void wake_one(const Atomic<std::uint32_t>& word) noexcept { futex_wake(&word, 1); }

  /// These do the same on the upper 32 bits of a word.
  static void wait_high(const Atomic<std::uint64_t>& word, std::uint32_t expected) noexcept {
    futex_wait(high_half(word), expected);
  }
  static void wake_high(const Atomic<std::uint64_t>& word, int count) noexcept {
    futex_wake(high_half(word), count);
  }

 private:
  static const void* high_half(const Atomic<std::uint64_t>& word) noexcept {
    return reinterpret_cast<const char*>(&word) + 4;  // x86 is little-endian
  }
};

}  // namespace cllm
