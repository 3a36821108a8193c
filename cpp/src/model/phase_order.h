// A PhaseOrder works out which phases must wait for which, from what each reads and writes.
#pragma once

#include <cstdint>
#include <vector>

#include "model/tiling.h"

namespace cllm {

/// Describes the rows of one buffer that the tiles of a phase read or write. The caller numbers the
/// buffers; two numbers never mean the same memory.
struct Access {
  std::int32_t buffer;
  Range rows;
  bool writes;
};

/// Takes phases in the order in which one thread would run them, and says which earlier ones each
/// must wait for so that any number of threads gives the same result. A reader waits for the
/// writers before it, a writer for the readers and writers before it.
class PhaseOrder {
 public:
  /// Returns the phases (from 0) that the next one waits for, in increasing order. It leaves out a
  /// phase for which another of them already waits.
  std::vector<std::int32_t> add(const std::vector<Access>& accesses);

  /// Returns how many were added, with the repeated ones.
  std::int32_t phases() const noexcept {
    return forgotten_ + static_cast<std::int32_t>(after_.size());
  }
  /// Returns the earliest phase that touched what the last one touches, where one of both writes;
  /// the last one itself if there is none.
  std::int32_t earliest_met() const noexcept { return earliest_met_; }
  /// Returns how many earlier accesses were compared so far, which is the cost of all this.
  std::int64_t looks() const noexcept { return looks_; }

  /// Describes an earlier access that later phases will find; pasts() has them by buffer.
  struct Past {
    Range rows;
    bool writes;
    std::int32_t phase;
  };
  using Pasts = std::vector<std::vector<Past>>;
  const Pasts& pasts() const noexcept { return buffers_; }
  /// Says whether the last `length` phases left what the `length` before them had left, `before`.
  /// Then the same phases, added again, wait for the same ones again, `length` later. REQUIRES:
  /// none of the last met one from before these 2 * length.
  bool repeats(const Pasts& before, std::int32_t length) const;
  /// Does the same as adding the last `length` phases so many times more. REQUIRES: repeats().
  void repeat(std::int32_t length, std::int32_t times);

 private:
  /// Removes `rows`, which `phase` writes, from earlier accesses and keeps the rest of them:
  /// whoever waits for `phase` also waits for what touched these rows before. A buffer therefore
  /// has about as many entries as parts that its rows are cut into, however many phases there were.
  void forget(std::vector<Past>& pasts, const Range& rows, std::int32_t phase);
  bool waits_for(std::int32_t phase, std::int32_t before) const;

  Pasts buffers_;                                 // accesses that later phases may meet
  std::vector<std::vector<std::int32_t>> after_;  // by phase, from forgotten_ on
  std::int32_t forgotten_ = 0, earliest_met_ = 0;
  std::int64_t looks_ = 0;
};

}  // namespace cllm
