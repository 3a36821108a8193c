// Which phases must wait for which: worked out from what each reads and writes.
#pragma once

#include <cstdint>
#include <vector>

#include "model/tiling.h"

namespace cllm {

/// Rows of one buffer that the tiles of a phase read or write. Whoever names a buffer gives it a
/// number; two numbers never mean the same memory.
struct Access {
  std::int32_t buffer;
  Range rows;
  bool writes;
};

/// Takes phases in the order in which one thread would run them and tells which earlier ones each
/// must wait for, so that any number of threads gives the same result: a reader for the writers
/// before it, a writer for the readers and writers before it.
class PhaseOrder {
 public:
  /// Returns the phases (from 0) that the next one waits for, in increasing order. One that another
  /// of them waits for itself is left out.
  std::vector<std::int32_t> add(const std::vector<Access>& accesses);

  /// How many were added, repeated ones counted.
  std::int32_t phases() const noexcept {
    return forgotten_ + static_cast<std::int32_t>(after_.size());
  }
  /// The earliest phase that touched what the last one touches, when one of both writes: the last
  /// one itself if there is none.
  std::int32_t earliest_met() const noexcept { return earliest_met_; }
  /// How many earlier accesses were looked at so far: what all of this cost.
  std::int64_t looks() const noexcept { return looks_; }

  /// What later phases will find: earlier accesses, by buffer.
  struct Past {
    Range rows;
    bool writes;
    std::int32_t phase;
  };
  using Pasts = std::vector<std::vector<Past>>;
  const Pasts& pasts() const noexcept { return buffers_; }
  /// Whether the last `length` phases left what the `length` before them had left, `before`: then
  /// the same phases again wait for the same ones again, `length` later.
  /// REQUIRES: none of the last met one from before these 2 * length.
  bool repeats(const Pasts& before, std::int32_t length) const;
  /// As if the last `length` had been added so many times more. REQUIRES: repeats().
  void repeat(std::int32_t length, std::int32_t times);

 private:
  /// Whoever waits for `phase`, which writes `rows`, waits for what touched them before: what is
  /// left of it is kept. So a buffer has about as many entries as parts that its rows are cut into,
  /// however many phases there were.
  void forget(std::vector<Past>& pasts, const Range& rows, std::int32_t phase);
  bool waits_for(std::int32_t phase, std::int32_t before) const;

  Pasts buffers_;                                 // what may still matter
  std::vector<std::vector<std::int32_t>> after_;  // by phase, from forgotten_ on
  std::int32_t forgotten_ = 0, earliest_met_ = 0;
  std::int64_t looks_ = 0;
};

}  // namespace cllm
