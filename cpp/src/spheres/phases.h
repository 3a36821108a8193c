// The phases of a job know which others they wait for and what the end of each one opens.
//
// A tile's writes are released when its phase's tile count goes down, and acquired by the thread
// that brings the count to zero. That thread releases them to the waiting phases, where they are
// acquired by each thread that finds such a phase open.
//
// The words of a lap's phases serve every third time of the lap (kSets), so a job's memory does not
// grow with the number of times. The words count down over all the times that use them and are not
// set anew within a run: a phase is open, or finished, when its words are down to what the later
// times need. Nobody touches a word for a later time too early: only the ends of phases of times
// t + 2 and t + 3 touch the words of time t + 3, and when one of these phases opens, everything of
// time t has ended (JobPlan). When tiles are claimed whether open or not, times mix, but the end of
// each phase is still counted once.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "spheres/laps.h"
#include "sync/atomics.h"
#include "sync/mpsc_queue.h"

namespace cllm {

/// Thread safety: bind and reset are for the thread that makes and resets the job; any thread may
/// call the others.
template <class Atomics = StdAtomics>
class BasicPhases {
 public:
  /// REQUIRES: called once before use.
  void bind(const JobPlan& plan) {
    laps_ = Laps(plan);
    std::vector<std::vector<Opening>> openings(plan.phases.size());
    std::int32_t words = 0;
    for (const Laps::Part& part : laps_.parts()) {
      first_word_.push_back(words);
      words += part.phases * std::min(part.times, kSets);
      for (std::int32_t p = part.listed; p < part.listed + part.phases; ++p) {
        const PhasePlan& phase = plan.phases[index(p)];
        if (phase.after.empty()) first_tiles_ += phase.tiles;
        for (const std::int32_t before : phase.after) {
          const std::int32_t in = part.listed + before - part.first;  // if it is of this lap
          if (before >= part.first) {
            openings[index(in)].push_back({p, When::kSameTime});
            continue;
          }
          openings[index(laps_.place(before).listed)].push_back({p, When::kAfterLastTime});
          if (part.times > 1) openings[index(in + part.phases)].push_back({p, When::kNextTime});
        }
      }
    }
    words_ = std::make_unique<Words[]>(index(words));
    for (std::size_t p = 0; p < plan.phases.size(); ++p) {
      phases_.push_back({plan.phases[p].tiles,
                         static_cast<std::int32_t>(plan.phases[p].after.size()),
                         static_cast<std::int32_t>(openings_.size()),
                         static_cast<std::int32_t>(openings[p].size())});
      openings_.insert(openings_.end(), openings[p].begin(), openings[p].end());
    }
  }
  /// Makes all phases unfinished again. The caller must release this to other threads.
  void reset() noexcept {
    for (const Laps::Part& part : laps_.parts()) {
      for (std::int32_t time = 0; time < std::min(part.times, kSets); ++time) {
        for (std::int32_t p = part.listed; p < part.listed + part.phases; ++p) {
          const Laps::Place place{&part, time, p};
          const std::int32_t times = later_times(place) + 1;
          Words& words = this->words(place);
          words.waits.store(times * listed(place).waits, std::memory_order_relaxed);
          words.tiles.store(times * listed(place).tiles, std::memory_order_relaxed);
        }
      }
    }
    left_.store(laps_.phases(), std::memory_order_relaxed);
  }

  const Laps& laps() const noexcept { return laps_; }
  std::int32_t tiles(std::int32_t phase) const noexcept { return listed(laps_.place(phase)).tiles; }
  /// Counts the tiles of the phases that wait for nothing.
  std::int32_t first_tiles() const noexcept { return first_tiles_; }
  bool is_open(std::int32_t phase) const noexcept {
    const Laps::Place place = laps_.place(phase);
    return words(place).waits.load(std::memory_order_acquire) <=
           later_times(place) * listed(place).waits;
  }

  /// Says what the end of a tile has caused.
  struct Finished {
    std::int32_t opened = 0;  ///< tiles of the phases that it opened
    bool job = false;         ///< the job is finished
  };
  Finished finish_tile(std::int32_t phase) noexcept {
    Finished finished;
    const Laps::Place place = laps_.place(phase);
    const Listed& self = listed(place);
    const std::int32_t left = words(place).tiles.fetch_sub(1, std::memory_order_acq_rel) - 1;
    if (place.part->times == 1 ? left != 0 : left % self.tiles != 0) return finished;
    // The phase is counted before the waiting phases are told: once they are told, the run may end
    // without this thread, and the job may start again.
    finished.job = left_.fetch_sub(1, std::memory_order_acq_rel) == 1;
    const Opening* const openings = openings_.data() + self.openings;
    for (const Opening* o = openings; o != openings + self.opening_count; ++o) {
      Laps::Place next{place.part, place.time, o->phase};
      if (o->when == When::kNextTime && ++next.time == place.part->times) continue;
      if (o->when == When::kAfterLastTime) {
        if (place.time + 1 < place.part->times) continue;
        next = laps_.first_time(o->phase);
      }
      const Listed& opened = listed(next);
      if (words(next).waits.fetch_sub(1, std::memory_order_acq_rel) - 1 ==
          later_times(next) * opened.waits) {
        finished.opened += opened.tiles;
      }
    }
    return finished;
  }
  /// Gives up the unclaimed tiles of `phases` phases in a row of one strand: of the first, `phase`,
  /// the tiles from `tile` on, and all of the others. They open nothing. REQUIRES: some other tile
  /// of the job is unfinished.
  void skip(std::int32_t phase, std::int32_t tile, std::int32_t phases) noexcept {
    if (tile > 0) {
      const Laps::Place place = laps_.place(phase);
      const std::int32_t tiles = listed(place).tiles, skipped = tiles - tile;
      const std::int32_t left =
          words(place).tiles.fetch_sub(skipped, std::memory_order_acq_rel) - skipped;
      if (left % tiles != 0) --phases;  // the worker of the remaining tiles ends the phase
    }
    left_.fetch_sub(phases, std::memory_order_acq_rel);
  }
  bool all_finished() const noexcept { return left_.load(std::memory_order_acquire) == 0; }

 private:
  /// These words of one phase count, over all the times that use them, the phases that it still
  /// waits for and its unfinished tiles.
  struct alignas(kCacheLinePair) Words {
    typename Atomics::template Atomic<std::int32_t> waits{0};
    typename Atomics::template Atomic<std::int32_t> tiles{0};
  };
  /// Describes a phase as the plan lists it.
  struct Listed {
    std::int32_t tiles, waits;
    std::int32_t openings, opening_count;  // a range of openings_
  };
  enum class When : std::int32_t { kSameTime, kNextTime, kAfterLastTime };
  struct Opening {
    std::int32_t phase;  // index in the plan
    When when;
  };
  static constexpr std::int32_t kSets = 3;

  static std::size_t index(std::int32_t i) noexcept { return static_cast<std::size_t>(i); }
  const Listed& listed(const Laps::Place& place) const noexcept {
    return phases_[index(place.listed)];
  }
  Words& words(const Laps::Place& place) const noexcept {
    const Laps::Part& part = *place.part;
    const auto lap = static_cast<std::size_t>(&part - laps_.parts().data());
    return words_[index(first_word_[lap] + place.time % kSets * part.phases + place.listed -
                        part.listed)];
  }
  /// Counts the later times that use the same words.
  static std::int32_t later_times(const Laps::Place& place) noexcept {
    return (place.part->times - 1 - place.time) / kSets;
  }

  alignas(kCacheLinePair) typename Atomics::template Atomic<std::int32_t> left_{0};  // unfinished
  // These are only read.
  alignas(kCacheLinePair) Laps laps_;
  std::vector<std::int32_t> first_word_;  // [laps]
  std::vector<Listed> phases_;            // as in the plan
  std::vector<Opening> openings_;
  std::unique_ptr<Words[]> words_;
  std::int32_t first_tiles_ = 0;
};

}  // namespace cllm
