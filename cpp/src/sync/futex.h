// Sleep on a 32-bit word and wake its sleepers, or give way: the one file that knows the kernel's
// futex and scheduler.
#pragma once

#include <climits>
#include <cstdint>

namespace cllm {

/// Sleeps while the 32 bits at `word` equal `expected`. Returns at once when they do not, and may
/// return for no reason: callers loop. The comparison and the falling asleep are one step for
/// whoever stores to the word and then wakes.
void futex_wait(const void* word, std::uint32_t expected) noexcept;

/// Wakes at most `count` sleepers.
void futex_wake(const void* word, int count) noexcept;
constexpr int kWakeAll = INT_MAX;

/// Lets threads that wait for this core go first; returns at once when there is none.
void yield_core() noexcept;

/// One turn of a spinning loop.
inline void spin_pause() noexcept { __builtin_ia32_pause(); }

}  // namespace cllm
