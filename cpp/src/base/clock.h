// These functions return nanoseconds: of a clock that never jumps, and of the calling thread's CPU
// time.
#pragma once

#include <time.h>

#include <cstdint>

namespace cllm {

inline std::uint64_t clock_ns(clockid_t clock) noexcept {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(t.tv_nsec);
}

/// Takes about 20 ns: no system call where the kernel offers its clock in user space.
inline std::uint64_t now_ns() noexcept { return clock_ns(CLOCK_MONOTONIC); }

/// Takes a few hundred ns, because it is a system call: do not use it inside a step.
inline std::uint64_t thread_cpu_ns() noexcept { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }

}  // namespace cllm
