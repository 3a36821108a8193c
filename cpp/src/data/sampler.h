// The sequences of each step are drawn at random, as a pure function of seed and step.
#pragma once

#include <cstdint>
#include <string>

#include "data/split.h"

namespace cllm {

/// How the sequences of a run are chosen.
enum class Shuffle {
  kWindows,  ///< each epoch cuts the range into windows and takes each once, in random order
  kOffsets,  ///< each sequence starts anywhere, whatever came before, as in nanoGPT
};

/// Returns the value of --shuffle. REQUIRES: `name` is one of its choices.
Shuffle shuffle_named(const std::string& name) noexcept;

/// Where a sequence starts is drawn for (seed, step, row) alone. So nothing must be saved to
/// resume, and steps can be prepared in any order. Thread safety: immutable after construction.
///
/// Windows are T tokens long and lie side by side; every epoch begins them at another token, so
/// that each token is seen in other company. A range of n tokens has floor((n - 1) / T) - 1 of
/// them, or one if that is less: the last window's length is what the epochs have to move in.
/// Epochs follow each other without a gap, within a batch too, so that a range shorter than a batch
/// is taken several times.
class Sampler {
 public:
  /// Throws InputError when the range holds fewer than sequence + 1 tokens; it names the largest
  /// sequence that works. REQUIRES: rows >= 1, sequence >= 1; the range's source outlives this.
  Sampler(TokenRange range, std::int64_t rows, std::int64_t sequence, std::uint64_t seed,
          Shuffle shuffle = Shuffle::kOffsets);

  std::int64_t rows() const noexcept { return rows_; }
  std::int64_t sequence() const noexcept { return sequence_; }

  /// Returns where a row of a step starts in the range: 0 .. range.size() - sequence - 1.
  std::int64_t offset(std::int64_t step, std::int64_t row) const noexcept;

  /// Fills inputs[B, T] and targets[B, T]; each target is the token after its input. Throws
  /// DataError when the file is not what it was when it was opened.
  void fill(std::int64_t step, std::int32_t* inputs, std::int32_t* targets) const;

 private:
  std::uint64_t window_start(std::uint64_t number) const noexcept;

  TokenRange range_;
  std::int64_t rows_;
  std::int64_t sequence_;
  std::uint64_t seed_;
  Shuffle shuffle_;
  std::uint64_t windows_;  // of an epoch
};

/// Returns how many tokens one epoch over `tokens` tokens trains on.
std::int64_t epoch_tokens(std::int64_t tokens, std::int64_t sequence, Shuffle shuffle) noexcept;

}  // namespace cllm
