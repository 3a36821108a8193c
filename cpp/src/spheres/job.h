// The unit that spheres work on together: a job is a row of phases, a phase is a row of tiles.
//
// Tiles are claimed in one order, phase after phase, but a phase waits only for the phases that it
// names, so that tiles of several run at the same time: there is no barrier between them. A tile is
// claimed when its phase is open and not before; which worker runs it is decided by arrival and
// cannot be seen in the result. Phases wait for earlier ones only, so the first tile that is not
// finished can always be run and a job cannot come to a stop.
//
// Words written by several threads:
//   claim   run (high half), closed bit and next tile (low half). A worker takes a tile by
//           compare-and-exchange: an increment could take one that is not open yet.
//   gate    arrivals that are missing before the job opens.
//   words   of each phase: phases it still waits for, tiles that are not finished.
//   left    phases that are not finished.
// A tile's writes are released by the decrement of its phase's tiles, acquired by whoever makes it
// zero, released again to those that wait for it (`waits`, gate) and acquired by who claims there.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "spheres/job_plan.h"
#include "sync/mpsc_queue.h"

namespace cllm {

template <class Atomics = StdAtomics>
class BasicJob {
 public:
  /// REQUIRES: called once before use; `plan` outlives the job.
  void bind(const JobPlan& plan);

  /// Closed, for the next run. REQUIRES: new, or every tile finished; workers may still look.
  void reset() noexcept;

  /// One predecessor is done; true when it was the last one and the job is open.
  bool arrive() noexcept;
  /// Opens it whatever is missing, for tiles that will not be computed.
  void open() noexcept;

  /// A tile that nobody has taken; phase -1 if there is none that can be run now.
  struct Ticket {
    std::int32_t phase = -1;
    std::int32_t tile = 0;
    std::int32_t next_ready = 0;  ///< tiles of the next phase, if this was the last before it
    bool last = false;            ///< of the job
  };
  /// `whether_open_or_not`: also of a phase that still waits, for tiles that will not be computed.
  Ticket claim(bool whether_open_or_not = false) noexcept;

  /// What a finished tile brought about.
  struct Finished {
    std::int32_t opened = 0;  ///< tiles of the phases that it opened
    bool job = false;         ///< it was the job's last: the caller arrives at the successors
  };
  Finished finish_tile(std::int32_t phase) noexcept;

  bool is_closed() const noexcept { return (word() & kClosed) != 0; }
  /// Nobody has claimed a tile of it, and somebody can.
  bool untouched() const noexcept {
    return next_tile(word()) == 0 && !is_closed() && phase_is_open(0);
  }
  /// Tiles that nobody has claimed, if the next one can be; 0 if not.
  std::int32_t claimable() const noexcept;
  /// Every tile has been claimed.
  bool claimed_out() const noexcept { return !is_closed() && next_tile(word()) >= tiles_; }
  bool finished() const noexcept { return left_.load(std::memory_order_acquire) == 0; }

  /// Tiles that can be claimed when the job opens.
  std::int32_t first_tiles() const noexcept { return first_tiles_; }

 private:
  struct alignas(kCacheLinePair) PhaseWords {
    typename Atomics::template Atomic<std::int32_t> waits{0};
    typename Atomics::template Atomic<std::int32_t> tiles{0};
  };
  static constexpr std::uint64_t kRun = std::uint64_t{1} << 32;
  static constexpr std::uint64_t kClosed = std::uint64_t{1} << 31;

  static std::int32_t next_tile(std::uint64_t word) noexcept {
    return static_cast<std::int32_t>(word & (kClosed - 1));
  }
  std::uint64_t word() const noexcept { return claim_.load(std::memory_order_acquire); }
  std::size_t phase_of(std::int32_t tile) const noexcept {
    const auto after = std::upper_bound(begin_.begin(), begin_.end(), tile);
    return static_cast<std::size_t>(after - begin_.begin()) - 1;
  }
  bool phase_is_open(std::size_t phase) const noexcept {
    return words_[phase].waits.load(std::memory_order_acquire) == 0;
  }

  alignas(kCacheLinePair) typename Atomics::template Atomic<std::uint64_t> claim_{kClosed};
  alignas(kCacheLinePair) typename Atomics::template Atomic<std::int32_t> gate_{0};
  typename Atomics::template Atomic<std::int32_t> left_{0};
  std::unique_ptr<PhaseWords[]> words_;
  // Read only.
  alignas(kCacheLinePair) const JobPlan* plan_ = nullptr;
  std::int32_t tiles_ = 0, first_tiles_ = 0;
  std::vector<std::int32_t> begin_;               // [phases] first tile of each
  std::vector<std::vector<std::int32_t>> opens_;  // [phases] the later ones that wait for it
};

using Job = BasicJob<>;

template <class Atomics>
void BasicJob<Atomics>::bind(const JobPlan& plan) {
  plan_ = &plan;
  const std::size_t phases = plan.phases.size();
  words_ = std::make_unique<PhaseWords[]>(phases);
  opens_.resize(phases);
  for (std::size_t p = 0; p < phases; ++p) {
    begin_.push_back(tiles_);
    tiles_ += plan.phases[p].tiles;
    if (plan.phases[p].after.empty()) first_tiles_ += plan.phases[p].tiles;
    for (const std::int32_t before : plan.phases[p].after) {
      opens_[static_cast<std::size_t>(before)].push_back(static_cast<std::int32_t>(p));
    }
  }
}

template <class Atomics>
void BasicJob<Atomics>::reset() noexcept {
  const std::size_t phases = plan_->phases.size();
  for (std::size_t p = 0; p < phases; ++p) {
    const PhasePlan& phase = plan_->phases[p];
    words_[p].waits.store(static_cast<std::int32_t>(phase.after.size()), std::memory_order_relaxed);
    words_[p].tiles.store(phase.tiles, std::memory_order_relaxed);
  }
  gate_.store(plan_->arrivals, std::memory_order_relaxed);
  left_.store(static_cast<std::int32_t>(phases), std::memory_order_relaxed);
  const std::uint64_t run = claim_.load(std::memory_order_relaxed) / kRun + 1;
  claim_.store(run * kRun | kClosed, std::memory_order_release);
}

template <class Atomics>
bool BasicJob<Atomics>::arrive() noexcept {
  if (gate_.fetch_sub(1, std::memory_order_acq_rel) != 1) return false;
  open();
  return true;
}

template <class Atomics>
void BasicJob<Atomics>::open() noexcept {
  std::uint64_t word = claim_.load(std::memory_order_relaxed);
  while ((word & kClosed) != 0 &&
         !claim_.compare_exchange_weak(word, word & ~kClosed, std::memory_order_acq_rel)) {
  }
}

template <class Atomics>
typename BasicJob<Atomics>::Ticket BasicJob<Atomics>::claim(bool whether_open_or_not) noexcept {
  std::uint64_t word = this->word();
  for (;;) {
    const std::int32_t tile = next_tile(word);
    if ((word & kClosed) != 0 || tile >= tiles_) return {};
    const std::size_t phase = phase_of(tile);
    // Of this run, if the exchange succeeds: a run ends after its last tile was claimed.
    if (!phase_is_open(phase) && !whether_open_or_not) return {};
    if (!claim_.compare_exchange_weak(word, word + 1, std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
      continue;
    }
    Ticket ticket{static_cast<std::int32_t>(phase), tile - begin_[phase]};
    ticket.last = tile + 1 == tiles_;
    if (!ticket.last && tile + 1 == begin_[phase] + plan_->phases[phase].tiles &&
        phase_is_open(phase + 1)) {
      ticket.next_ready = plan_->phases[phase + 1].tiles;
    }
    return ticket;
  }
}

template <class Atomics>
typename BasicJob<Atomics>::Finished BasicJob<Atomics>::finish_tile(std::int32_t phase) noexcept {
  const auto p = static_cast<std::size_t>(phase);
  Finished finished;
  if (words_[p].tiles.fetch_sub(1, std::memory_order_acq_rel) != 1) return finished;
  // Counted before those that wait for it hear of it: once they do, the run may end without this
  // thread, and the job start again.
  finished.job = left_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  for (const std::int32_t next : opens_[p]) {
    const auto n = static_cast<std::size_t>(next);
    if (words_[n].waits.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      finished.opened += plan_->phases[n].tiles;
    }
  }
  return finished;
}

template <class Atomics>
std::int32_t BasicJob<Atomics>::claimable() const noexcept {
  const std::uint64_t word = this->word();
  const std::int32_t tile = next_tile(word);
  if ((word & kClosed) != 0 || tile >= tiles_ || !phase_is_open(phase_of(tile))) return 0;
  return tiles_ - tile;
}

}  // namespace cllm
