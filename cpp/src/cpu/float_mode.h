// How a thread rounds: a program that was linked with -ffast-math, or asked for it, has threads
// that take denormal numbers for 0, and so would those that it starts.
#pragma once

#include <xmmintrin.h>

namespace cllm {

/// While it lives the calling thread rounds to nearest, keeps denormal numbers and traps nothing,
/// so that the same sum has the same bits on every thread.
class FloatMode {
 public:
  FloatMode() noexcept : before_(_mm_getcsr()) { _mm_setcsr(kDefault); }
  ~FloatMode() { _mm_setcsr(before_); }
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;

 private:
  static constexpr unsigned kDefault = 0x1f80;  // as a process starts
  const unsigned before_;
};

}  // namespace cllm
