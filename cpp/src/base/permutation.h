// A permutation puts 0 .. n - 1 into a random order that is computed, not stored.
#pragma once

#include <cstdint>

#include "base/rng.h"

namespace cllm {

/// Where an index goes is a pure function of (seed, stream, number, index), so that any place of
/// any order is found at once, whatever n is. It is a Feistel network over the smallest power of
/// four that holds n, with Philox as its round function (Luby and Rackoff, "How to construct
/// pseudorandom permutations from pseudorandom functions", 1988), walked until it comes back below
/// n (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002): under four steps on
/// average.
class Permutation {
 public:
  /// `number` tells the orders of one seed apart. REQUIRES: 1 <= n <= 2^62.
  Permutation(std::uint64_t n, std::uint64_t seed, RandomStream stream,
              std::uint64_t number) noexcept
      : n_(n), seed_(seed), stream_(stream), number_(number) {
    while (half_ < 31 && std::uint64_t{1} << (2 * half_) < n) ++half_;
  }

  /// Returns the number in place `index`. REQUIRES: index < n.
  std::uint64_t operator[](std::uint64_t index) const noexcept {
    do {
      index = permuted(index);
    } while (index >= n_);
    return index;
  }

 private:
  // Four would do for large halves; in small ones more rounds mix better.
  static constexpr std::uint32_t kRounds = 8;

  std::uint64_t permuted(std::uint64_t value) const noexcept {
    const std::uint64_t mask = (std::uint64_t{1} << half_) - 1;
    std::uint64_t left = value >> half_, right = value & mask;
    for (std::uint32_t round = 0; round < kRounds; ++round) {
      const RandomBlock key = random_block(seed_, stream_, round, number_);
      const RandomBlock mixed =
          philox4x32(random_bits64(key, 0), {static_cast<std::uint32_t>(right), key[2], key[3], 0});
      const std::uint64_t next = left ^ (mixed[0] & mask);
      left = right;
      right = next;
    }
    return left << half_ | right;
  }

  std::uint64_t n_;
  std::uint64_t seed_;
  RandomStream stream_;
  std::uint64_t number_;
  std::uint32_t half_ = 1;  // bits
};

}  // namespace cllm
