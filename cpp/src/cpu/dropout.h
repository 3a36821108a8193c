// Which elements dropout takes away depends on where an element is, never on who computes it.
#pragma once

#include <cstdint>

namespace cllm {

/// Describes the dropout of one matrix, such as the attention weights of one head of one sequence.
///
/// Element (row, column) has 16 random bits and is kept when they are at least `threshold`.
/// Philox4x32 with 7 rounds (see base/rng.h) makes four words of the counter {8 (column / 64) +
/// column % 32 / 4, row, place, head}. The bits are half column % 2 of word 2 (column % 64 / 32) +
/// column % 4 / 2. They are the same in every instruction set, 64 columns at a time.
struct Dropout {
  std::uint64_t key = 0;              ///< of the sequence in this step
  std::uint32_t place = 0, head = 0;  ///< the matrix among those of the sequence
  std::uint32_t threshold = 0;        ///< how many of 65536 are dropped; 0: none
  float scale = 1.0f;                 ///< factor of what is kept: 65536 / (65536 - threshold)
};

}  // namespace cllm
