// Rows of examples are what a step or an evaluation takes: inputs, the targets that count, and for
// each input where its example begins.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/token_rows.h"
#include "data/examples.h"
#include "data/packing.h"

namespace cllm {

/// What became of the examples when rows of T tokens were made of them.
struct RowCounts {
  std::int64_t examples = 0;    ///< that stand in a row
  std::int64_t tokens = 0;      ///< of those, without padding
  std::int64_t targets = 0;     ///< of those, which are predicted
  std::int64_t cut = 0;         ///< examples that are longer than T: their end is left out
  std::int64_t cut_tokens = 0;  ///< that are so left out
  std::int64_t left_out = 0;    ///< examples with nothing to predict within T tokens
};

/// The examples of a source, packed into rows of T tokens. A row's examples stand side by side from
/// its begin; what is left is padding, a document of its own of token 0 of which nothing counts.
/// Thread safety: immutable after construction.
class ExampleRows {
 public:
  /// REQUIRES: sequence >= 1; the source of the examples outlives this.
  ExampleRows(std::shared_ptr<const Examples> examples, std::int64_t sequence, Packing packing);

  const TokenSource& source() const noexcept { return examples_->source(); }
  std::int64_t sequence() const noexcept { return sequence_; }
  /// Returns the number of rows; 0 when no example has anything to predict within T tokens.
  std::int64_t size() const noexcept { return packed_.size(); }
  const RowCounts& counts() const noexcept { return counts_; }
  /// Counts the targets of a row. REQUIRES: 0 <= row < size().
  std::int64_t targets(std::int64_t row) const noexcept {
    return targets_[static_cast<std::size_t>(row)];
  }

  /// Fills one row of T tokens: a target is the token after its input where that is trained and of
  /// the same example, else kNotCounted; a first key is the place in the row of the first token of
  /// the input's example. Allocates nothing. Throws DataError as the source does. REQUIRES: as
  /// above; to.first_keys is not null.
  void fill(std::int64_t row, const RowsToFill& to) const;
  /// Makes the row padding from place `begin` on.
  void pad(std::int64_t begin, const RowsToFill& to) const noexcept;

 private:
  std::shared_ptr<const Examples> examples_;
  std::int64_t sequence_;
  RowCounts counts_;
  PackedRows packed_;
  std::vector<std::int64_t> targets_;  // by row
};

/// Draws the rows of each step at random, as a pure function of seed and step. Every epoch takes
/// each row once; epochs follow each other without a gap, within a batch too. Thread safety:
/// immutable after construction.
class ExampleSampler {
 public:
  /// REQUIRES: batch >= 1; there is a row.
  ExampleSampler(std::shared_ptr<const ExampleRows> rows, std::int64_t batch,
                 std::uint64_t seed) noexcept;

  /// Returns which of the rows is row `row` of a step.
  std::int64_t at(std::int64_t step, std::int64_t row) const noexcept;
  /// Fills rows[B, T]. Throws DataError when a file is not what it was when it was opened.
  void fill(std::int64_t step, const RowsToFill& to) const;

 private:
  std::shared_ptr<const ExampleRows> rows_;
  std::int64_t batch_;
  std::uint64_t seed_;
};

}  // namespace cllm
