// The unit that spheres work on together: a job is a row of phases, a phase is a row of tiles.
//
// Any worker may claim any tile of the phase that is open; the last one to finish a tile of a phase
// opens the next. Which worker runs a tile is decided by arrival and cannot be seen in the result.
//
// Two words of a job are written by several threads, each on 128 bytes of its own:
//   claim  phase (high half, with the sleeper bit lowest) and next tile (low half). A worker
//          takes a tile by fetch_add; who finishes a phase exchanges the whole word. Phase 0 is
//          "closed".
//   done   tiles finished in the phase that is open; arrivals while the job is closed.
// A tile's writes are released by the increment of done, acquired by whoever makes it full,
// released again by the exchange of claim and acquired by the next claim.
#pragma once

#include <cstdint>
#include <vector>

#include "sync/mpsc_queue.h"

namespace cllm {

/// What a job is, fixed before threads exist.
struct JobPlan {
  std::vector<std::int32_t> tiles;       ///< tiles[phase - 1] for phases 1..n; every one at least 1
  std::int32_t arrivals = 1;             ///< how many predecessors open it
  std::vector<std::int32_t> successors;  ///< jobs that it arrives at when it is finished
  bool reports = false;                  ///< its end is told to the root (Done)
  int subtree = -1;  ///< workers of this level-1 subtree look here first; -1: nobody's
};

/// A claimed tile, or nothing.
struct TileClaim {
  std::int32_t job = -1;
  std::int32_t phase = 0;
  std::int32_t tile = 0;
  explicit operator bool() const noexcept { return job >= 0; }
};

template <class Atomics = StdAtomics>
class BasicJob {
 public:
  /// REQUIRES: called once before use; `plan` outlives the job.
  void bind(const JobPlan& plan) noexcept { plan_ = &plan; }

  enum class State : std::uint8_t { kClosed, kOpen, kFinished };

  /// Back to closed. REQUIRES: finished or new; workers may still look at it.
  void reset() noexcept;

  /// One predecessor is done; the last one opens phase 1, unless the job was abandoned.
  void arrive() noexcept;

  /// A closed job is finished at once and never opens; an open one goes on to its end.
  void abandon() noexcept { leave_closed(phases() + 1); }

  /// A tile of the open phase, if one is left: (phase, tile), phase 0 if not.
  struct Ticket {
    std::int32_t phase;
    std::int32_t tile;
  };
  Ticket claim() noexcept;

  /// Reports a claimed tile as run. Returns true when it was the last tile of the last phase: the
  /// caller then arrives at the successors and calls close().
  bool finish_tile(std::int32_t phase) noexcept;
  void close() noexcept { publish(phases() + 1); }

  /// The state that a word returned by observe() stands for.
  State state_of(std::uint64_t word) const noexcept;
  State state() const noexcept { return state_of(observe()); }
  /// Nobody has claimed a tile of it yet.
  bool untouched() const noexcept;

  /// Phases after the open one, if that has a tile to claim; -1 if not.
  std::int32_t phases_left() const noexcept {
    const std::uint64_t word = observe();
    const std::int32_t phase = phase_of(word);
    if (phase == 0 || phase > phases()) return -1;
    return tile_of(word) < static_cast<std::uint32_t>(tiles(phase)) ? phases() - phase : -1;
  }

  /// The word to sleep on and its value, to be taken before the last look for work.
  std::uint64_t observe() const noexcept { return claim_.load(std::memory_order_acquire); }
  /// Sleeps while the phase in `observed` is the current one. May return early.
  /// REQUIRES: state_of(observed) is not kFinished: such a sleep may have no end, any other ends
  /// with the run at the latest.
  void park(std::uint64_t observed) noexcept;
  /// Whether park would sleep.
  bool still(std::uint64_t observed) const noexcept {
    return phase_of(observe()) == phase_of(observed);
  }

  const JobPlan& plan() const noexcept { return *plan_; }

 private:
  static constexpr std::uint64_t pack(std::int32_t phase) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(phase)) << 33;
  }
  static constexpr std::int32_t phase_of(std::uint64_t word) noexcept {
    return static_cast<std::int32_t>(word >> 33);
  }
  static constexpr std::uint32_t tile_of(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>(word);
  }
  std::int32_t phases() const noexcept { return static_cast<std::int32_t>(plan_->tiles.size()); }
  std::int32_t tiles(std::int32_t phase) const noexcept {
    return plan_->tiles[static_cast<std::size_t>(phase - 1)];
  }
  void publish(std::int32_t phase) noexcept;
  void leave_closed(std::int32_t phase) noexcept;

  static constexpr std::uint64_t kSleeper = std::uint64_t{1} << 32;

  alignas(kCacheLinePair) typename Atomics::template Atomic<std::uint64_t> claim_{0};
  alignas(kCacheLinePair) typename Atomics::template Atomic<std::int32_t> done_{0};
  const JobPlan* plan_ = nullptr;  // read only
};

using Job = BasicJob<>;

template <class Atomics>
void BasicJob<Atomics>::publish(std::int32_t phase) noexcept {
  const std::uint64_t before = claim_.exchange(pack(phase), std::memory_order_acq_rel);
  if ((before & kSleeper) != 0) Atomics::wake_all_high(claim_);
}

template <class Atomics>
void BasicJob<Atomics>::reset() noexcept {
  done_.store(0, std::memory_order_relaxed);
  publish(0);
}

template <class Atomics>
void BasicJob<Atomics>::leave_closed(std::int32_t phase) noexcept {
  std::uint64_t word = claim_.load(std::memory_order_relaxed);
  do {
    if (phase_of(word) != 0) return;
  } while (!claim_.compare_exchange_weak(word, pack(phase), std::memory_order_acq_rel,
                                         std::memory_order_relaxed));
  if ((word & kSleeper) != 0) Atomics::wake_all_high(claim_);
}

template <class Atomics>
void BasicJob<Atomics>::arrive() noexcept {
  if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 != plan_->arrivals) return;
  done_.store(0, std::memory_order_relaxed);
  leave_closed(1);
}

template <class Atomics>
typename BasicJob<Atomics>::Ticket BasicJob<Atomics>::claim() noexcept {
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

template <class Atomics>
bool BasicJob<Atomics>::finish_tile(std::int32_t phase) noexcept {
  if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 != tiles(phase)) return false;
  done_.store(0, std::memory_order_relaxed);  // nobody else writes it until the next phase is open
  if (phase == phases()) return true;
  publish(phase + 1);
  return false;
}

template <class Atomics>
typename BasicJob<Atomics>::State BasicJob<Atomics>::state_of(std::uint64_t word) const noexcept {
  const std::int32_t phase = phase_of(word);
  if (phase == 0) return State::kClosed;
  return phase > phases() ? State::kFinished : State::kOpen;
}

template <class Atomics>
bool BasicJob<Atomics>::untouched() const noexcept {
  const std::uint64_t word = claim_.load(std::memory_order_relaxed);
  return phase_of(word) == 1 && tile_of(word) == 0;
}

template <class Atomics>
void BasicJob<Atomics>::park(std::uint64_t observed) noexcept {
  std::uint64_t word = claim_.load(std::memory_order_relaxed);
  do {
    if (phase_of(word) != phase_of(observed)) return;
  } while ((word & kSleeper) == 0 &&
           !claim_.compare_exchange_weak(word, word | kSleeper, std::memory_order_relaxed));
  // The futex is the high half of the word: phase and sleeper bit.
  Atomics::wait_high(claim_, static_cast<std::uint32_t>((word | kSleeper) >> 32));
}

}  // namespace cllm
