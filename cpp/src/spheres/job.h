// The unit that spheres work on together: a job is a row of phases, a phase is a row of tiles.
//
// A phase waits only for the earlier ones that it names, so that tiles of several run at the same
// time: there is no barrier between them. Each belongs to a strand. Within a strand tiles are
// claimed in one order, phase after phase, and not before their phase is open; which worker runs a
// tile is decided by arrival and cannot be seen in the result. A job cannot come to a stop: the
// first phase that is not finished is open, and nothing is left before it in its strand.
//
// Strands from 1 on belong to parts of the rows, 0 to everybody. The workers who are here deal the
// parts among themselves, as cores that share no cache read slowly what another one wrote: each
// first takes what comes first in its own strands and in everybody's, then helps where the least
// has been done. Where parts are too few, everybody's comes last: less waits for it, and it fills
// gaps. A worker alone goes through the phases in their order.
//
// Words written by several threads, besides those of strands, team and phases: `state`, the run
// (high half) and whether it is open, until every tile was claimed; `gate`, arrivals that are
// missing; `left`, strands with tiles that nobody has claimed. A reset is released by the state,
// what came before an arrival by the gate and then by the state.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "spheres/job_plan.h"
#include "spheres/phases.h"
#include "spheres/strands.h"
#include "spheres/team.h"

namespace cllm {

template <class Atomics = StdAtomics>
class BasicJob {
 public:
  /// REQUIRES: called once before use.
  void bind(const JobPlan& plan);

  /// Closes it for the next run, with no team. REQUIRES: new, or all finished; workers may look.
  void reset() noexcept;

  /// One predecessor is done; true when it was the last one and the job is open.
  bool arrive() noexcept {
    if (gate_.fetch_sub(1, std::memory_order_acq_rel) != 1) return false;
    open();
    return true;
  }
  /// Opens it whatever is missing: also the root's, after an error, while the last one arrives.
  void open() noexcept {
    state_.store(state_.load(std::memory_order_relaxed) | kOpen, std::memory_order_release);
  }

  /// A tile that nobody has taken; phase -1 if none can be run now.
  struct Ticket {
    std::int32_t phase = -1;
    std::int32_t tile = 0;
    std::int32_t next_ready = 0;  ///< tiles of its strand's next phase, if it was the last before
    bool last = false;            ///< of the job: no strand has another one
  };
  /// For a worker at a seat of the team, who is here from now on if there is a tile.
  /// `whether_open_or_not`: also of a phase that still waits, for tiles that will not be computed.
  Ticket claim(int seat = 0, bool whether_open_or_not = false) noexcept;
  /// Whoever is at `seat` has gone elsewhere.
  void leave(int seat) noexcept { team_.leave(seat); }

  /// When it was the job's last tile, the caller arrives at the successors.
  using Finished = typename BasicPhases<Atomics>::Finished;
  Finished finish_tile(std::int32_t phase) noexcept { return phases_.finish_tile(phase); }

  /// Takes every tile that nobody has, as if finished; true when the last was among them. REQUIRES:
  /// called by whoever has a tile of the job and finishes it afterwards.
  bool skip_rest() noexcept;

  bool is_closed() const noexcept { return (state() & kOpen) == 0; }
  /// Nobody has claimed a tile of it, and somebody can.
  bool untouched() const noexcept { return !is_closed() && strands_.left() == strands_.tiles(); }
  /// Tiles that nobody has claimed, if one of them can be; 0 if not.
  std::int32_t claimable() const noexcept;
  /// Every tile has been claimed.
  bool claimed_out() const noexcept {
    return !is_closed() && left_.load(std::memory_order_acquire) == 0;
  }
  bool finished() const noexcept { return phases_.all_finished(); }
  /// Those that can be claimed when the job opens.
  std::int32_t first_tiles() const noexcept { return phases_.first_tiles(); }

 private:
  using Strand = BasicStrand<Atomics>;
  /// A tile to take, and of which strand; null: none.
  struct Found {
    typename Strand::Next next;
    Strand* strand = nullptr;
  };
  static constexpr std::uint64_t kRun = std::uint64_t{1} << 32;
  static constexpr std::uint64_t kOpen = 1;

  std::uint64_t state() const noexcept { return state_.load(std::memory_order_acquire); }
  static std::uint32_t run_of(std::uint64_t state) noexcept {
    return static_cast<std::uint32_t>(state / kRun);
  }
  /// Keeps in `found` whichever can be claimed and is of the earlier phase: that, or the next tile
  /// of a strand.
  void look(std::size_t strand, std::uint32_t run, bool whether_open_or_not,
            Found* found) const noexcept {
    const typename Strand::Next next = strands_[strand].next(run);
    if (next.phase < 0 || (found->strand != nullptr && found->next.phase < next.phase)) return;
    if (phases_.is_open(next.phase) || whether_open_or_not) *found = {next, &strands_[strand]};
  }
  /// What whoever is at `seat` had better take.
  Found find(int seat, std::uint32_t run, bool whether_open_or_not) const noexcept;

  // Read for every tile, written when the job opens and when somebody comes or goes.
  alignas(kCacheLinePair) typename Atomics::template Atomic<std::uint64_t> state_{0};
  BasicTeam<Atomics> team_;
  typename Atomics::template Atomic<std::int32_t> gate_{0};
  alignas(kCacheLinePair) typename Atomics::template Atomic<std::int32_t> left_{0};
  BasicPhases<Atomics> phases_;
  BasicStrands<Atomics> strands_;
  // Read only.
  std::int32_t arrivals_ = 0;
};

using Job = BasicJob<>;

template <class Atomics>
void BasicJob<Atomics>::bind(const JobPlan& plan) {
  arrivals_ = plan.arrivals;
  phases_.bind(plan);
  strands_.deal(plan, phases_.laps());
}

template <class Atomics>
void BasicJob<Atomics>::reset() noexcept {
  phases_.reset();
  gate_.store(arrivals_, std::memory_order_relaxed);
  left_.store(strands_.with_tiles(), std::memory_order_relaxed);
  team_.clear();
  const std::uint32_t run = run_of(state_.load(std::memory_order_relaxed)) + 1;
  strands_.reset(run);
  state_.store(run * kRun, std::memory_order_release);
}

template <class Atomics>
typename BasicJob<Atomics>::Found BasicJob<Atomics>::find(int seat, std::uint32_t run,
                                                          bool whether_open_or_not) const noexcept {
  Found found;
  const std::size_t dealt = strands_.size() - 1;  // among the team
  const auto own = team_.share(seat, dealt);
  if (!own.crowded) look(0, run, whether_open_or_not, &found);
  for (std::size_t s = own.begin; s < own.end; ++s) look(1 + s, run, whether_open_or_not, &found);
  if (found.strand != nullptr) return found;
  for (std::size_t s = 0; s < dealt; ++s) look(1 + s, run, whether_open_or_not, &found);
  if (own.crowded && found.strand == nullptr) look(0, run, whether_open_or_not, &found);
  return found;
}

template <class Atomics>
typename BasicJob<Atomics>::Ticket BasicJob<Atomics>::claim(int seat,
                                                            bool whether_open_or_not) noexcept {
  Found found;
  do {
    const std::uint64_t state = this->state();
    if ((state & kOpen) == 0) return {};
    found = find(seat, run_of(state), whether_open_or_not);
    if (found.strand == nullptr) return {};
    // If it can be taken, the run has not ended since the phase was seen open in it.
  } while (!found.strand->take(found.next));
  if (strands_.size() > 1) team_.join(seat);
  Ticket ticket{found.next.phase, found.next.tile};
  if (found.next.last) {
    ticket.last = left_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  } else if (found.next.ends) {
    const std::int32_t after = found.strand->phase_after(found.next);
    if (phases_.is_open(after)) ticket.next_ready = phases_.tiles(after);
  }
  return ticket;
}

template <class Atomics>
bool BasicJob<Atomics>::skip_rest() noexcept {
  bool last = false;
  for (Strand& strand : strands_) {
    const typename Strand::Next first = strand.take_rest();
    if (first.phase < 0) continue;
    phases_.skip(first.phase, first.tile, strand.phases_from(first));
    last = left_.fetch_sub(1, std::memory_order_acq_rel) == 1 || last;
  }
  return last;
}

template <class Atomics>
std::int32_t BasicJob<Atomics>::claimable() const noexcept {
  const std::uint64_t state = this->state();
  if ((state & kOpen) == 0) return 0;
  Found found;
  for (std::size_t s = 0; s < strands_.size(); ++s) look(s, run_of(state), false, &found);
  return found.strand != nullptr ? strands_.left() : 0;
}

}  // namespace cllm
