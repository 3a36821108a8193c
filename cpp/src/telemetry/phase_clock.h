// A PhaseClock tells how much of a run's time each of its phases took.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace cllm {

enum class RunPhase { kStarting, kTraining, kValidation, kSaving };

/// Counts every moment for exactly one phase. It begins in kStarting. Thread safety: one thread at
/// a time.
class PhaseClock {
 public:
  /// Counts for a phase while it lives, and then for the phase before again.
  class Scope {
   public:
    Scope(PhaseClock& clock, RunPhase phase) : clock_(clock), before_(clock.phase_) {
      clock.enter(phase);
    }
    ~Scope() { clock_.enter(before_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    PhaseClock& clock_;
    const RunPhase before_;
  };

  /// Begins with these nanoseconds in kStarting.
  explicit PhaseClock(std::uint64_t starting_ns) { of(RunPhase::kStarting) = starting_ns; }

  void enter(RunPhase phase) noexcept {
    const std::uint64_t now = now_ns();
    of(phase_) += now - since_;
    since_ = now;
    phase_ = phase;
  }
  /// Returns what is complete: enter() completes the span of the phase before.
  double seconds(RunPhase phase) const noexcept {
    return 1e-9 * static_cast<double>(ns_[static_cast<std::size_t>(phase)]);
  }

 private:
  std::uint64_t& of(RunPhase phase) noexcept { return ns_[static_cast<std::size_t>(phase)]; }

  std::array<std::uint64_t, 4> ns_{};
  RunPhase phase_ = RunPhase::kStarting;
  std::uint64_t since_ = now_ns();
};

}  // namespace cllm
