// The random bits of dropout come for 64 elements of a row at a time, the same in every instruction
// set.
//
// Philox4x32 runs in lanes of 64 bits whose lower halves hold the counters. A product of two lower
// halves then fills a lane, and nothing has to move between lanes. Whatever stays in the upper
// halves is never read. There are 7 rounds, the fewest that pass all of BigCrush (Salmon et al.
// 2011).
#pragma once

#include "cpu/dropout.h"
#include "cpu/kernels/vec.h"

namespace cllm {
namespace {

constexpr std::int64_t kKeepColumns = 64;  ///< columns whose bits are drawn together

/// Returns the bits: bit c says that the element in `row` and column 64 * piece + c is kept.
inline std::uint64_t keep_bits(const Dropout& dropout, std::int64_t row, std::int64_t piece) {
  const Wide m0 = wide(0xD2511F53u), m1 = wide(0xCD9E8D57u);
  std::uint64_t low = 0, high = 0;
  for (int block = 0; block < 8; block += kWideLanes) {
    Wide c0 = wide_add(wide_index(), wide(static_cast<std::uint32_t>(8 * piece + block)));
    Wide c1 = wide(static_cast<std::uint32_t>(row));
    Wide c2 = wide(dropout.place), c3 = wide(dropout.head);
    std::uint32_t k0 = static_cast<std::uint32_t>(dropout.key);
    std::uint32_t k1 = static_cast<std::uint32_t>(dropout.key >> 32);
    for (int round = 0; round < 7; ++round) {
      const Wide p0 = wide_mul(c0, m0), p1 = wide_mul(c2, m1);
      c0 = wide_xor(wide_upper(p1), c1, wide(k0));
      c1 = p1;
      c2 = wide_xor(wide_upper(p0), c3, wide(k1));
      c3 = p0;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    low |= static_cast<std::uint64_t>(wide_at_least(c0, c1, dropout.threshold)) << (4 * block);
    high |= static_cast<std::uint64_t>(wide_at_least(c2, c3, dropout.threshold)) << (4 * block);
  }
  return low | high << 32;
}

}  // namespace
}  // namespace cllm
