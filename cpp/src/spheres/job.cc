#include "spheres/job.h"

#include "sync/futex.h"

namespace cllm {
namespace {

/// The futex is the high half of a claim word: phase and sleeper bit (x86 is little-endian).
const void* high_half(const std::atomic<std::uint64_t>& word) noexcept {
  return reinterpret_cast<const char*>(&word) + 4;
}

}  // namespace

void Job::publish(std::int32_t phase) noexcept {
  const std::uint64_t before = claim_.exchange(pack(phase), std::memory_order_acq_rel);
  if ((before & kSleeper) != 0) futex_wake(high_half(claim_), kWakeAll);
}

void Job::reset() noexcept {
  done_.store(0, std::memory_order_relaxed);
  publish(0);
}

void Job::leave_closed(std::int32_t phase) noexcept {
  std::uint64_t word = claim_.load(std::memory_order_relaxed);
  do {
    if (phase_of(word) != 0) return;
  } while (!claim_.compare_exchange_weak(word, pack(phase), std::memory_order_acq_rel,
                                         std::memory_order_relaxed));
  if ((word & kSleeper) != 0) futex_wake(high_half(claim_), kWakeAll);
}

void Job::arrive() noexcept {
  if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 != plan_->arrivals) return;
  done_.store(0, std::memory_order_relaxed);
  leave_closed(1);
}

Job::Ticket Job::claim() noexcept {
  std::uint64_t word = claim_.load(std::memory_order_acquire);
  for (int look = 0; look < 2; ++look) {
    const std::int32_t phase = phase_of(word);
    if (phase == 0 || phase > phases()) return {0, 0};
    const std::uint32_t tile = tile_of(word);
    if (tile >= static_cast<std::uint32_t>(tiles(phase))) return {0, 0};
    if (look == 1) return {phase, static_cast<std::int32_t>(tile)};
    // The word may have moved on since the look: only what the increment returns counts.
    word = claim_.fetch_add(1, std::memory_order_acq_rel);
  }
  return {0, 0};
}

bool Job::finish_tile(std::int32_t phase) noexcept {
  if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 != tiles(phase)) return false;
  done_.store(0, std::memory_order_relaxed);  // nobody else writes it until the next phase is open
  if (phase == phases()) return true;
  publish(phase + 1);
  return false;
}

Job::State Job::state() const noexcept {
  const std::int32_t phase = phase_of(claim_.load(std::memory_order_acquire));
  if (phase == 0) return State::kClosed;
  return phase > phases() ? State::kFinished : State::kOpen;
}

bool Job::untouched() const noexcept {
  const std::uint64_t word = claim_.load(std::memory_order_relaxed);
  return phase_of(word) == 1 && tile_of(word) == 0;
}

void Job::park(std::uint64_t observed) noexcept {
  std::uint64_t word = claim_.load(std::memory_order_relaxed);
  do {
    if (phase_of(word) != phase_of(observed)) return;
  } while ((word & kSleeper) == 0 &&
           !claim_.compare_exchange_weak(word, word | kSleeper, std::memory_order_relaxed));
  futex_wait(high_half(claim_), static_cast<std::uint32_t>((word | kSleeper) >> 32));
}

}  // namespace cllm
