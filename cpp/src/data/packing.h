// Packing puts examples together into rows of one length, so that little of a step is padding.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/span.h"

namespace cllm {

/// How examples are put into rows.
enum class Packing {
  kBestFit,  ///< the longest first, each into the fullest row in which it fits
  kNone,     ///< one a row
};

/// Returns the value of --packing. REQUIRES: `name` is one of its choices.
Packing packing_named(const std::string& name) noexcept;

/// Says which examples stand in each row, one after the other from its begin.
struct PackedRows {
  std::vector<std::int64_t> examples;   ///< their indices, row by row
  std::vector<std::int64_t> begins{0};  ///< where each row begins in `examples`, then their number

  std::int64_t size() const noexcept { return static_cast<std::int64_t>(begins.size()) - 1; }
  /// Returns the examples of a row; at least one. REQUIRES: 0 <= row < size().
  Span<const std::int64_t> operator[](std::int64_t row) const noexcept {
    const auto begin = static_cast<std::size_t>(begins[static_cast<std::size_t>(row)]);
    const auto end = static_cast<std::size_t>(begins[static_cast<std::size_t>(row) + 1]);
    return {examples.data() + begin, end - begin};
  }
};

/// Puts example i, of lengths[i] tokens, into a row of at most `capacity`; a length of 0 stands for
/// an example to leave out. Best fit decreasing takes at most 11/9 of the fewest rows, and 2/3 of
/// one more (Dosa 2007); ties go by index, so that the rows are a pure function of lengths and
/// capacity. It takes O(n log n) for n examples. REQUIRES: 0 <= lengths[i] <= capacity.
PackedRows pack(Span<const std::int32_t> lengths, std::int64_t capacity, Packing packing);

}  // namespace cllm
