// A strand is a row of phases of one job whose tiles are claimed in their order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "spheres/laps.h"
#include "sync/atomics.h"
#include "sync/mpsc_queue.h"

namespace cllm {

/// Thread safety: add and reset are for the thread that makes and resets the job; any thread may
/// call the others.
template <class Atomics = StdAtomics>
class alignas(kCacheLinePair) BasicStrand {
 public:
  /// Appends a lap of the job; the strand's phases of that lap follow by add(). REQUIRES: called
  /// before the first reset.
  void add_lap(const Laps::Part& lap) {
    laps_.push_back(
        {lap.first, lap.phases, lap.times, tiles_, 0, count_, phases_.size(), phases_.size()});
  }
  /// Appends a phase of the lap, given by its place in the lap. REQUIRES: as for add_lap; tiles >=
  /// 1.
  void add(std::int32_t place, std::int32_t tiles) {
    Part& lap = laps_.back();
    phases_.push_back(place);
    begin_.push_back(lap.tiles);
    lap.tiles += tiles;
    lap.end = phases_.size();
    count_ += lap.times;
    tiles_ += tiles * lap.times;
  }
  std::int32_t tiles() const noexcept { return tiles_; }

  /// Makes all tiles unclaimed again, for run `run` of the job.
  void reset(std::uint32_t run) noexcept {
    word_.store(std::uint64_t{run} * kRun, std::memory_order_relaxed);
  }
  /// Counts the unclaimed tiles.
  std::int32_t left() const noexcept { return tiles_ - std::min(tile_of(word()), tiles_); }

  /// Describes the tile that is next; phase -1: none.
  struct Next {
    std::int32_t phase = -1;  ///< number in the job
    std::int32_t tile = 0;    ///< number in the phase
    std::int32_t count = 0;   ///< phases of the strand before this one
    bool ends = false;        ///< it is the phase's last tile
    bool last = false;        ///< it is the strand's last tile
    std::uint64_t word = 0;
  };
  /// Returns the next tile of run `run`.
  Next next(std::uint32_t run) const noexcept {
    const std::uint64_t word = this->word();
    const std::int32_t tile = tile_of(word);
    if (word / kRun != run || tile >= tiles_) return {};
    Next next = find(tile);
    next.word = word;
    return next;
  }
  /// Returns the phase that follows. REQUIRES: `next` is the last tile of its phase but not of the
  /// strand.
  std::int32_t phase_after(const Next& next) const noexcept {
    return find(tile_of(next.word) + 1).phase;
  }
  /// Takes the tile; false if another thread took it meanwhile. This is a compare-and-exchange,
  /// because an increment could take a tile that is not open yet, or let a worker that still looks
  /// from the run before take a tile of a run that it does not know.
  bool take(Next next) noexcept {
    return word_.compare_exchange_weak(next.word, next.word + 1, std::memory_order_acq_rel,
                                       std::memory_order_relaxed);
  }
  /// Takes all unclaimed tiles; returns the first of them, phase -1 if there was none.
  Next take_rest() noexcept {
    std::uint64_t word = this->word();
    do {
      if (tile_of(word) >= tiles_) return {};
    } while (!word_.compare_exchange_weak(word,
                                          word / kRun * kRun + static_cast<std::uint64_t>(tiles_),
                                          std::memory_order_acq_rel, std::memory_order_relaxed));
    return find(tile_of(word));
  }
  /// Counts the phases from that one on.
  std::int32_t phases_from(const Next& next) const noexcept { return count_ - next.count; }

 private:
  static constexpr std::uint64_t kRun = std::uint64_t{1} << 32;
  static std::int32_t tile_of(std::uint64_t word) noexcept {
    return static_cast<std::int32_t>(word & (kRun - 1));
  }
  std::uint64_t word() const noexcept { return word_.load(std::memory_order_acquire); }

  /// Describes the part of a lap of the job that belongs to the strand.
  struct Part {
    std::int32_t first, phases, times;  // as in Laps
    std::int32_t first_tile;
    std::int32_t tiles;        // each time
    std::int32_t first_count;  // phases of the strand before it, every repetition counted
    std::size_t begin, end;    // a range of phases_
  };
  Next find(std::int32_t tile) const noexcept {
    const Part* lap = laps_.data();
    for (const Part* const last = lap + laps_.size() - 1; lap != last; ++lap) {
      if (tile < lap[1].first_tile) break;
    }
    std::int32_t in = tile - lap->first_tile, first = lap->first;
    if (lap->times > 1) {
      first += in / lap->tiles * lap->phases;
      in %= lap->tiles;
    }
    const auto begin = begin_.begin() + static_cast<std::ptrdiff_t>(lap->begin);
    const auto end = begin_.begin() + static_cast<std::ptrdiff_t>(lap->end);
    const auto after = std::upper_bound(begin, end, in);
    const auto at = static_cast<std::size_t>(after - begin_.begin()) - 1;
    Next next{first + phases_[at], in - begin_[at]};
    next.count = lap->first_count + static_cast<std::int32_t>(at - lap->begin);
    if (lap->times > 1) {
      next.count +=
          (tile - lap->first_tile) / lap->tiles * static_cast<std::int32_t>(lap->end - lap->begin);
    }
    next.ends = in + 1 == (after == end ? lap->tiles : *after);
    next.last = tile + 1 == tiles_;
    return next;
  }

  // Run (high half) and next tile (low half). Written by whoever takes a tile and, between runs, by
  // whoever resets the job; the job's state releases a reset.
  typename Atomics::template Atomic<std::uint64_t> word_{0};
  // These are only read.
  alignas(kCacheLinePair) std::vector<Part> laps_;
  std::vector<std::int32_t> phases_;  // of all laps, by their places in them
  std::vector<std::int32_t> begin_;   // first tile of each in its lap
  std::int32_t tiles_ = 0;
  std::int32_t count_ = 0;  // phases, every repetition counted
};

}  // namespace cllm
