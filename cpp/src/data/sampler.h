// The sequences of each step are drawn at random, as a pure function of seed and step.
#pragma once

#include <cstdint>

#include "data/split.h"

namespace cllm {

/// Each sequence starts at an offset that is uniform over all that fit, drawn for (seed, step, row)
/// alone. So nothing must be saved to resume, steps can be prepared in any order, and the first
/// rows of a larger batch are the rows of a smaller one. Thread safety: immutable after
/// construction.
class Sampler {
 public:
  /// Throws InputError when the range holds fewer than sequence + 1 tokens; it names the largest
  /// sequence that works. REQUIRES: rows >= 1, sequence >= 1; the range's source outlives this.
  Sampler(TokenRange range, std::int64_t rows, std::int64_t sequence, std::uint64_t seed);

  std::int64_t rows() const noexcept { return rows_; }
  std::int64_t sequence() const noexcept { return sequence_; }

  /// Returns where a row of a step starts in the range: 0 .. range.size() - sequence - 1.
  std::int64_t offset(std::int64_t step, std::int64_t row) const noexcept;

  /// Fills inputs[B, T] and targets[B, T]; each target is the token after its input. Throws
  /// DataError when the file is not what it was when it was opened.
  void fill(std::int64_t step, std::int32_t* inputs, std::int32_t* targets) const;

 private:
  TokenRange range_;
  std::int64_t rows_;
  std::int64_t sequence_;
  std::uint64_t seed_;
};

}  // namespace cllm
