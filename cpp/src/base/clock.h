// Nanoseconds: of a clock that never jumps, and of CPU time used by the calling thread.
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

/// About 20 ns a call: no system call where the kernel offers its clock in user space.
inline std::uint64_t now_ns() noexcept { return clock_ns(CLOCK_MONOTONIC); }

/// A system call, a few hundred ns: not for the inside of a step.
inline std::uint64_t thread_cpu_ns() noexcept { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }

}  // namespace cllm
