// A job is what spheres work on together: a row of phases, each of which is a row of tiles.
//
// A phase waits only for the earlier phases that it names, so tiles of several phases run at the
// same time, without a barrier. Each phase belongs to a strand. Within a strand, tiles are claimed
// in one order, phase after phase, and only when their phase is open. Which worker runs a tile
// depends on arrival and cannot be seen in the result. A job cannot deadlock: its first unfinished
// phase is open, and every tile before it in its strand has been claimed.
//
// Strands from 1 on belong to parts of the rows, strand 0 to the whole team. The team divides the
// parts, because cores that share no cache are slow to read what another core wrote. A worker first
// takes the earliest open tile of its own strands and strand 0, then helps the strand that has got
// least far. Where there are fewer parts than workers, strand 0 comes last: less waits for it, and
// it fills gaps. A worker alone takes phases in order.
//
// Several threads write these words, besides those of strands, team and phases: `state`, the run
// (high half) and whether the job is open; `gate`, the arrivals still missing; `left`, the strands
// with unclaimed tiles. The state releases a reset; gate, then state release what came before an
// arrival.
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

  /// Closes the job for the next run, with no team; workers may look. REQUIRES: new, or finished.
  void reset() noexcept;

  /// Notes that one predecessor has ended; true when it was the last one and the job is open.
  bool arrive() noexcept {
    if (gate_.fetch_sub(1, std::memory_order_acq_rel) != 1) return false;
    open();
    return true;
  }
  /// Opens the job whatever is missing; after an error the root may do so during the last arrival.
  void open() noexcept {
    state_.store(state_.load(std::memory_order_relaxed) | kOpen, std::memory_order_release);
  }

  /// A ticket is a claimed tile; its phase is -1 if no tile can be run now.
  struct Ticket {
    std::int32_t phase = -1;
    std::int32_t tile = 0;
    std::int32_t next_ready = 0;  ///< after a phase's last tile: open ones of the strand's next
    bool last = false;            ///< it was the job's last: no strand has another
  };
  /// Claims a tile for the worker at `seat`, who joins the team if there is one. With
  /// `whether_open_or_not` its phase may still wait; such a tile is not computed.
  Ticket claim(int seat = 0, bool whether_open_or_not = false) noexcept;
  /// Notes that the worker at `seat` has gone to another job.
  void leave(int seat) noexcept { team_.leave(seat); }

  /// Reports a tile; if it was the job's last, the caller must arrive at the successors.
  using Finished = typename BasicPhases<Atomics>::Finished;
  Finished finish_tile(std::int32_t phase) noexcept { return phases_.finish_tile(phase); }

  /// Takes every unclaimed tile as if finished; true when the last was among them. REQUIRES: the
  /// caller has a tile of the job and finishes it afterwards.
  bool skip_rest() noexcept;

  bool is_closed() const noexcept { return (state() & kOpen) == 0; }
  /// Says whether the job is open and nobody has claimed a tile of it.
  bool untouched() const noexcept { return !is_closed() && strands_.left() == strands_.tiles(); }
  /// Returns the number of unclaimed tiles if one of them can be claimed, else 0.
  std::int32_t claimable() const noexcept;
  /// Says whether every tile has been claimed.
  bool claimed_out() const noexcept {
    return !is_closed() && left_.load(std::memory_order_acquire) == 0;
  }
  bool finished() const noexcept { return phases_.all_finished(); }
  /// Says how many tiles can be claimed when the job opens.
  std::int32_t first_tiles() const noexcept { return phases_.first_tiles(); }

 private:
  using Strand = BasicStrand<Atomics>;
  /// Names a tile to take and its strand; null: none.
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
  /// Replaces `found` by the strand's next tile if that can be claimed and its phase is earlier.
  void look(std::size_t strand, std::uint32_t run, bool whether_open_or_not,
            Found* found) const noexcept {
    const typename Strand::Next next = strands_[strand].next(run);
    if (next.phase < 0 || (found->strand != nullptr && found->next.phase < next.phase)) return;
    if (phases_.is_open(next.phase) || whether_open_or_not) *found = {next, &strands_[strand]};
  }
  /// Returns the tile that the worker at `seat` should take.
  Found find(int seat, std::uint32_t run, bool whether_open_or_not) const noexcept;

  // These are read for every tile, and written when the job opens and when a worker comes or goes.
  alignas(kCacheLinePair) typename Atomics::template Atomic<std::uint64_t> state_{0};
  BasicTeam<Atomics> team_;
  typename Atomics::template Atomic<std::int32_t> gate_{0};
  alignas(kCacheLinePair) typename Atomics::template Atomic<std::int32_t> left_{0};
  BasicPhases<Atomics> phases_;
  BasicStrands<Atomics> strands_;
  // These are only read.
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
  const std::size_t dealt = strands_.size() - 1;  // to divide among the team
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
    // If the take succeeds, it is still the run in which the phase was seen open.
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
