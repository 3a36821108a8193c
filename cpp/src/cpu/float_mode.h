// A float mode says how a thread rounds. A program that was linked with -ffast-math, or asked for
// it, has threads that treat denormal numbers as 0, and threads that they start would do the same.
#pragma once

#include <xmmintrin.h>

namespace cllm {

/// While a FloatMode lives, the calling thread rounds to nearest, keeps denormal numbers and traps
/// nothing, so that the same sum has the same bits on every thread.
class FloatMode {
 public:
  FloatMode() noexcept : before_(_mm_getcsr()) { _mm_setcsr(kDefault); }
  ~FloatMode() { _mm_setcsr(before_); }
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;

 private:
  static constexpr unsigned kDefault = 0x1f80;  // the mode in which a process starts
  const unsigned before_;
};

}  // namespace cllm
