// These functions sleep on a 32-bit word, wake its sleepers, or give way to other threads. Only
// this file and its source know the kernel's futex and scheduler.
#pragma once

#include <climits>
#include <cstdint>

namespace cllm {

/// Sleeps while the 32 bits at `word` equal `expected`. Returns at once when they differ, and may
/// return for no reason, so callers loop. Comparing and falling asleep are one step as seen by a
/// thread that stores to the word and then wakes.
void futex_wait(const void* word, std::uint32_t expected) noexcept;

/// Wakes at most `count` sleepers.
void futex_wake(const void* word, int count) noexcept;
constexpr int kWakeAll = INT_MAX;

/// Lets threads that wait for this core go first; returns at once when none waits.
void yield_core() noexcept;

/// Pauses for one turn of a spinning loop.
inline void spin_pause() noexcept { __builtin_ia32_pause(); }

}  // namespace cllm
