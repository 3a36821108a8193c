// The unit that spheres work on together: a job is a row of phases, a phase is a row of tiles.
//
// A phase waits only for the earlier ones that it names, so that tiles of several run at the same
// time: there is no barrier between them. Each belongs to a strand. Within a strand tiles are
// claimed in one order, phase after phase, and not before their phase is open; which worker runs a
// tile is decided by arrival and cannot be seen in the result. All phases before the first that is
// not finished are, so that one is open and nothing is before it in its strand: its tiles run or
// can be claimed, and a job cannot come to a stop.
//
// Strands from 1 on belong to parts of the rows, 0 to everybody. Cores that share no cache read
// slowly what another one wrote, so the workers who are here deal the parts of rows among
// themselves, neighbours to neighbours: each first takes what comes first in its own strands and in
// everybody's, then helps where the least has been done. A worker alone goes through the phases in
// their order.
//
// Words written by several threads:
//   state    run (high half) and whether it is open. It stays so until every tile was claimed.
//   claim    of each strand: run (high half) and next tile (low half). A worker takes a tile by
//            compare-and-exchange: an increment could take one that is not open yet, and a worker
//            that still looks from the run before one that it knows nothing of.
//   team     who is here, a bit for each seat: a guess, which decides only who takes what.
//   gate     arrivals that are missing before the job opens.
//   words    of each phase: phases it still waits for, tiles that are not finished.
//   left     phases that are not finished; strands with tiles that nobody has claimed.
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

  /// Closed and with no team, for the next run. REQUIRES: new, or every tile finished; workers may
  /// still look.
  void reset() noexcept;

  /// One predecessor is done; true when it was the last one and the job is open.
  bool arrive() noexcept;
  /// Opens it whatever is missing, for tiles that will not be computed.
  void open() noexcept;

  /// Places for workers in a team; those of a larger crew share them, neighbours the same one.
  static constexpr int kSeats = 64;

  /// A tile that nobody has taken; phase -1 if there is none that can be run now.
  struct Ticket {
    std::int32_t phase = -1;
    std::int32_t tile = 0;
    /// Tiles of the next phase of its strand, if this was the last before it.
    std::int32_t next_ready = 0;
    bool last = false;  ///< of the job: no strand has another one
  };
  /// For a worker at `seat`, 0 <= seat < kSeats, who is here from now on if there is a tile.
  /// `whether_open_or_not`: also of a phase that still waits, for tiles that will not be computed.
  Ticket claim(int seat = 0, bool whether_open_or_not = false) noexcept;
  /// Whoever is at `seat` has gone elsewhere.
  void leave(int seat) noexcept;

  /// What a finished tile brought about.
  struct Finished {
    std::int32_t opened = 0;  ///< tiles of the phases that it opened
    bool job = false;         ///< it was the job's last: the caller arrives at the successors
  };
  Finished finish_tile(std::int32_t phase) noexcept;

  bool is_closed() const noexcept { return (state() & kOpen) == 0; }
  /// Nobody has claimed a tile of it, and somebody can.
  bool untouched() const noexcept;
  /// Tiles that nobody has claimed, if one of them can be; 0 if not.
  std::int32_t claimable() const noexcept;
  /// Every tile has been claimed.
  bool claimed_out() const noexcept {
    return !is_closed() && strands_left_.load(std::memory_order_acquire) == 0;
  }
  bool finished() const noexcept { return left_.load(std::memory_order_acquire) == 0; }

  /// Tiles that can be claimed when the job opens.
  std::int32_t first_tiles() const noexcept { return first_tiles_; }

 private:
  struct alignas(kCacheLinePair) PhaseWords {
    typename Atomics::template Atomic<std::int32_t> waits{0};
    typename Atomics::template Atomic<std::int32_t> tiles{0};
  };
  struct alignas(kCacheLinePair) StrandWord {
    typename Atomics::template Atomic<std::uint64_t> claim{0};
  };
  struct Strand {
    std::vector<std::int32_t> phases;
    std::vector<std::int32_t> begin;  // first tile of each, counted in the strand
    std::int32_t tiles = 0;
  };
  /// The next tile of a strand; phase -1: none.
  struct Next {
    std::int32_t phase = -1;
    std::size_t strand = 0;
    std::size_t at = 0;  // the phase's place in the strand
    std::uint64_t word = 0;
  };
  static constexpr std::uint64_t kRun = std::uint64_t{1} << 32;
  static constexpr std::uint64_t kOpen = 1;

  static std::int32_t next_tile(std::uint64_t word) noexcept {
    return static_cast<std::int32_t>(word & (kRun - 1));
  }
  std::uint64_t state() const noexcept { return state_.load(std::memory_order_acquire); }
  std::uint64_t word(std::size_t strand) const noexcept {
    return strand_words_[strand].claim.load(std::memory_order_acquire);
  }
  bool phase_is_open(std::int32_t phase) const noexcept {
    return words_[static_cast<std::size_t>(phase)].waits.load(std::memory_order_acquire) == 0;
  }
  std::int32_t tiles_of(std::int32_t phase) const noexcept {
    return plan_->phases[static_cast<std::size_t>(phase)].tiles;
  }
  static std::uint64_t bit(int seat) noexcept { return std::uint64_t{1} << seat; }

  /// `other`, or the next tile of `strand` where that can be claimed and is of an earlier phase.
  Next sooner(const Next& other, std::size_t strand, std::uint64_t run,
              bool whether_open_or_not) const noexcept;
  /// What whoever is at `seat`, which is in `team`, had better take.
  Next find(std::uint64_t team, int seat, std::uint64_t run,
            bool whether_open_or_not) const noexcept;
  void join(int seat) noexcept;

  // Read for every tile, written when the job opens and when somebody comes or goes.
  alignas(kCacheLinePair) typename Atomics::template Atomic<std::uint64_t> state_{0};
  typename Atomics::template Atomic<std::uint64_t> team_{0};
  typename Atomics::template Atomic<std::int32_t> gate_{0};
  alignas(kCacheLinePair) typename Atomics::template Atomic<std::int32_t> left_{0};
  typename Atomics::template Atomic<std::int32_t> strands_left_{0};
  std::unique_ptr<PhaseWords[]> words_;
  std::unique_ptr<StrandWord[]> strand_words_;
  // Read only.
  alignas(kCacheLinePair) const JobPlan* plan_ = nullptr;
  std::int32_t first_tiles_ = 0, strands_with_tiles_ = 0;
  std::vector<Strand> strands_;
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
    const PhasePlan& phase = plan.phases[p];
    const auto number = static_cast<std::int32_t>(p);
    const auto s = static_cast<std::size_t>(phase.strand);
    if (s >= strands_.size()) strands_.resize(s + 1);
    Strand& strand = strands_[s];
    if (strand.tiles == 0) ++strands_with_tiles_;
    strand.phases.push_back(number);
    strand.begin.push_back(strand.tiles);
    strand.tiles += phase.tiles;
    if (phase.after.empty()) first_tiles_ += phase.tiles;
    for (const std::int32_t before : phase.after) {
      opens_[static_cast<std::size_t>(before)].push_back(number);
    }
  }
  strand_words_ = std::make_unique<StrandWord[]>(strands_.size());
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
  strands_left_.store(strands_with_tiles_, std::memory_order_relaxed);
  team_.store(0, std::memory_order_relaxed);
  const std::uint64_t run = state_.load(std::memory_order_relaxed) / kRun + 1;
  for (std::size_t s = 0; s < strands_.size(); ++s) {
    strand_words_[s].claim.store(run * kRun, std::memory_order_relaxed);
  }
  state_.store(run * kRun, std::memory_order_release);
}

template <class Atomics>
bool BasicJob<Atomics>::arrive() noexcept {
  if (gate_.fetch_sub(1, std::memory_order_acq_rel) != 1) return false;
  open();
  return true;
}

// Two may open it at the same time: the root, after an error, and the last to arrive.
template <class Atomics>
void BasicJob<Atomics>::open() noexcept {
  state_.store(state_.load(std::memory_order_relaxed) | kOpen, std::memory_order_release);
}

template <class Atomics>
typename BasicJob<Atomics>::Next BasicJob<Atomics>::sooner(
    const Next& other, std::size_t strand, std::uint64_t run,
    bool whether_open_or_not) const noexcept {
  const Strand& s = strands_[strand];
  const std::uint64_t word = this->word(strand);
  const std::int32_t tile = next_tile(word);
  if (word / kRun != run || tile >= s.tiles) return other;
  const auto after = std::upper_bound(s.begin.begin(), s.begin.end(), tile);
  const auto at = static_cast<std::size_t>(after - s.begin.begin()) - 1;
  const std::int32_t phase = s.phases[at];
  if (other.phase >= 0 && other.phase < phase) return other;
  if (!phase_is_open(phase) && !whether_open_or_not) return other;
  return {phase, strand, at, word};
}

template <class Atomics>
typename BasicJob<Atomics>::Next BasicJob<Atomics>::find(std::uint64_t team, int seat,
                                                         std::uint64_t run,
                                                         bool whether_open_or_not) const noexcept {
  Next next = sooner({}, 0, run, whether_open_or_not);
  const std::size_t shared = strands_.size() - 1;  // that the team deals among itself
  if (shared == 0) return next;
  const auto place = static_cast<std::size_t>(__builtin_popcountll(team & (bit(seat) - 1)));
  const auto places = static_cast<std::size_t>(__builtin_popcountll(team));
  const std::size_t begin = place * shared / places;
  const std::size_t end = std::max(begin + 1, (place + 1) * shared / places);
  for (std::size_t s = begin; s < end; ++s) next = sooner(next, 1 + s, run, whether_open_or_not);
  if (next.phase >= 0) return next;
  for (std::size_t s = 0; s < shared; ++s) next = sooner(next, 1 + s, run, whether_open_or_not);
  return next;
}

template <class Atomics>
typename BasicJob<Atomics>::Ticket BasicJob<Atomics>::claim(int seat,
                                                            bool whether_open_or_not) noexcept {
  for (;;) {
    const std::uint64_t state = this->state();
    if ((state & kOpen) == 0) return {};
    const std::uint64_t team = team_.load(std::memory_order_relaxed);
    Next next = find(team | bit(seat), seat, state / kRun, whether_open_or_not);
    if (next.phase < 0) return {};
    // If the exchange succeeds, the run has not ended since the phase was seen open in it.
    if (!strand_words_[next.strand].claim.compare_exchange_weak(
            next.word, next.word + 1, std::memory_order_acq_rel, std::memory_order_relaxed)) {
      continue;
    }
    if (strands_.size() > 1) join(seat);
    const Strand& strand = strands_[next.strand];
    const std::int32_t tile = next_tile(next.word);
    Ticket ticket;
    ticket.phase = next.phase;
    ticket.tile = tile - strand.begin[next.at];
    if (tile + 1 == strand.tiles) {
      ticket.last = strands_left_.fetch_sub(1, std::memory_order_acq_rel) == 1;
    } else if (ticket.tile + 1 == tiles_of(next.phase)) {
      const std::int32_t after = strand.phases[next.at + 1];
      if (phase_is_open(after)) ticket.next_ready = tiles_of(after);
    }
    return ticket;
  }
}

template <class Atomics>
void BasicJob<Atomics>::join(int seat) noexcept {
  std::uint64_t team = team_.load(std::memory_order_relaxed);
  while ((team & bit(seat)) == 0 &&
         !team_.compare_exchange_weak(team, team | bit(seat), std::memory_order_relaxed)) {
  }
}

template <class Atomics>
void BasicJob<Atomics>::leave(int seat) noexcept {
  std::uint64_t team = team_.load(std::memory_order_relaxed);
  while ((team & bit(seat)) != 0 &&
         !team_.compare_exchange_weak(team, team & ~bit(seat), std::memory_order_relaxed)) {
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
bool BasicJob<Atomics>::untouched() const noexcept {
  if (is_closed()) return false;
  for (std::size_t s = 0; s < strands_.size(); ++s) {
    if (next_tile(word(s)) != 0) return false;
  }
  return true;
}

template <class Atomics>
std::int32_t BasicJob<Atomics>::claimable() const noexcept {
  const std::uint64_t state = this->state();
  if ((state & kOpen) == 0) return 0;
  std::int32_t tiles = 0;
  bool any = false;
  for (std::size_t s = 0; s < strands_.size(); ++s) {
    tiles += strands_[s].tiles - std::min(next_tile(word(s)), strands_[s].tiles);
    any = any || sooner({}, s, state / kRun, false).phase >= 0;
  }
  return any ? tiles : 0;
}

}  // namespace cllm
