// A row of phases of one job whose tiles are claimed in their order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sync/atomics.h"
#include "sync/mpsc_queue.h"

namespace cllm {

/// Thread safety: add and reset are for who makes and resets the job, the rest for anybody.
template <class Atomics = StdAtomics>
class alignas(kCacheLinePair) BasicStrand {
 public:
  /// Appends a phase of the job. REQUIRES: before the first reset; tiles >= 1.
  void add(std::int32_t phase, std::int32_t tiles) {
    phases_.push_back(phase);
    begin_.push_back(tiles_);
    tiles_ += tiles;
  }
  std::int32_t tiles() const noexcept { return tiles_; }

  /// All tiles again, for run `run` of the job.
  void reset(std::uint32_t run) noexcept {
    word_.store(std::uint64_t{run} * kRun, std::memory_order_relaxed);
  }
  /// Tiles that nobody has claimed.
  std::int32_t left() const noexcept { return tiles_ - std::min(tile_of(word()), tiles_); }

  /// A tile that is next; phase -1: none.
  struct Next {
    std::int32_t phase = -1;  ///< of the job
    std::int32_t tile = 0;    ///< of the phase
    std::int32_t after = -1;  ///< the strand's next phase, if it is the last tile of its own
    bool last = false;        ///< of the strand
    std::uint64_t word = 0;
  };
  /// The next one of run `run`.
  Next next(std::uint32_t run) const noexcept {
    const std::uint64_t word = this->word();
    const std::int32_t tile = tile_of(word);
    if (word / kRun != run || tile >= tiles_) return {};
    const auto after = std::upper_bound(begin_.begin(), begin_.end(), tile);
    const auto at = static_cast<std::size_t>(after - begin_.begin()) - 1;
    Next next{phases_[at], tile - begin_[at], -1, tile + 1 == tiles_, word};
    if (after != begin_.end() && *after == tile + 1) next.after = phases_[at + 1];
    return next;
  }
  /// Takes it; false if it was taken meanwhile. By compare-and-exchange: an increment could take
  /// one that is not open yet, and a worker that still looks from the run before one that it knows
  /// nothing of.
  bool take(Next next) noexcept {
    return word_.compare_exchange_weak(next.word, next.word + 1, std::memory_order_acq_rel,
                                       std::memory_order_relaxed);
  }

 private:
  static constexpr std::uint64_t kRun = std::uint64_t{1} << 32;
  static std::int32_t tile_of(std::uint64_t word) noexcept {
    return static_cast<std::int32_t>(word & (kRun - 1));
  }
  std::uint64_t word() const noexcept { return word_.load(std::memory_order_acquire); }

  // Run (high half) and next tile (low half). Written by whoever takes a tile and, between runs, by
  // who resets; a reset is released by the job's state.
  typename Atomics::template Atomic<std::uint64_t> word_{0};
  // Read only.
  alignas(kCacheLinePair) std::vector<std::int32_t> phases_;
  std::vector<std::int32_t> begin_;  // first tile of each
  std::int32_t tiles_ = 0;
};

}  // namespace cllm
