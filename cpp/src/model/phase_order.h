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

  /// How many earlier accesses were looked at so far: what all of this cost.
  std::int64_t looks() const noexcept { return looks_; }

 private:
  struct Past {
    Range rows;
    bool writes;
    std::int32_t phase;
  };
  /// Whoever waits for `phase`, which writes `rows`, waits for what touched them before: what is
  /// left of it is kept. So a buffer has about as many entries as parts that its rows are cut into,
  /// however many phases there were.
  void forget(std::vector<Past>& pasts, const Range& rows, std::int32_t phase);

  std::vector<std::vector<Past>> buffers_;        // what may still matter, by buffer
  std::vector<std::vector<std::int32_t>> after_;  // by phase
  std::int64_t looks_ = 0;
};

}  // namespace cllm
