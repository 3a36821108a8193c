// Which phases of a job wait for others, and what the end of one opens.
//
// A tile's writes are released by the decrement of its phase's tiles, acquired by whoever makes it
// zero, released again to the phases that wait for it and acquired by who finds one of them open.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "spheres/job_plan.h"
#include "sync/atomics.h"
#include "sync/mpsc_queue.h"

namespace cllm {

/// Thread safety: bind and reset are for who makes and resets the job, the rest for anybody.
template <class Atomics = StdAtomics>
class BasicPhases {
 public:
  /// REQUIRES: called once before use; `plans` outlives it.
  void bind(const std::vector<PhasePlan>& plans) {
    plans_ = &plans;
    words_ = std::make_unique<Words[]>(plans.size());
    opens_.resize(plans.size());
    for (std::size_t p = 0; p < plans.size(); ++p) {
      if (plans[p].after.empty()) first_tiles_ += plans[p].tiles;
      for (const std::int32_t before : plans[p].after) {
        opens_[static_cast<std::size_t>(before)].push_back(static_cast<std::int32_t>(p));
      }
    }
  }
  /// All of them again. To be released by the caller.
  void reset() noexcept {
    for (std::size_t p = 0; p < plans_->size(); ++p) {
      const PhasePlan& plan = (*plans_)[p];
      words_[p].waits.store(static_cast<std::int32_t>(plan.after.size()),
                            std::memory_order_relaxed);
      words_[p].tiles.store(plan.tiles, std::memory_order_relaxed);
    }
    left_.store(static_cast<std::int32_t>(plans_->size()), std::memory_order_relaxed);
  }

  std::int32_t tiles(std::int32_t phase) const noexcept { return (*plans_)[index(phase)].tiles; }
  /// Tiles of those that wait for nothing.
  std::int32_t first_tiles() const noexcept { return first_tiles_; }
  bool is_open(std::int32_t phase) const noexcept {
    return words_[index(phase)].waits.load(std::memory_order_acquire) == 0;
  }

  /// What a finished tile brought about.
  struct Finished {
    std::int32_t opened = 0;  ///< tiles of the phases that it opened
    bool job = false;         ///< it was the job's last
  };
  Finished finish_tile(std::int32_t phase) noexcept {
    Finished finished;
    if (words_[index(phase)].tiles.fetch_sub(1, std::memory_order_acq_rel) != 1) return finished;
    // Counted before those that wait for it hear of it: once they do, the run may end without this
    // thread, and the job start again.
    finished.job = left_.fetch_sub(1, std::memory_order_acq_rel) == 1;
    for (const std::int32_t next : opens_[index(phase)]) {
      if (words_[index(next)].waits.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        finished.opened += tiles(next);
      }
    }
    return finished;
  }
  bool all_finished() const noexcept { return left_.load(std::memory_order_acquire) == 0; }

 private:
  /// Of one phase: those that it still waits for, and its tiles that are not finished.
  struct alignas(kCacheLinePair) Words {
    typename Atomics::template Atomic<std::int32_t> waits{0};
    typename Atomics::template Atomic<std::int32_t> tiles{0};
  };
  static std::size_t index(std::int32_t phase) noexcept { return static_cast<std::size_t>(phase); }

  alignas(kCacheLinePair) typename Atomics::template Atomic<std::int32_t> left_{0};  // unfinished
  // Read only.
  alignas(kCacheLinePair) const std::vector<PhasePlan>* plans_ = nullptr;
  std::unique_ptr<Words[]> words_;
  std::vector<std::vector<std::int32_t>> opens_;  // [phases] the later ones that wait for it
  std::int32_t first_tiles_ = 0;
};

}  // namespace cllm
