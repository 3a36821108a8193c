// Random numbers have no state: every value is a pure function of seed, purpose and index.
#pragma once

#include <array>
#include <cstdint>

namespace cllm {

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) is a keyed
/// bijection of 128 bits. Nothing must be saved to resume, and no thread can disturb another. Word
/// 0 of the key and of the counter is the least significant.
template <int Rounds = 10>
constexpr std::array<std::uint32_t, 4> philox4x32(std::uint64_t key,
                                                  std::array<std::uint32_t, 4> counter) noexcept {
  std::uint32_t k0 = static_cast<std::uint32_t>(key);
  std::uint32_t k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < Rounds; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {
        static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ k0, static_cast<std::uint32_t>(p1),
        static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ k1, static_cast<std::uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return counter;
}

/// Says what a random number is for. One seed serves all streams, and their numbers never overlap.
/// The values are part of what a seed means: never renumber them.
enum class RandomStream : std::uint32_t {
  kInitialWeights = 1,
  kSampler = 2,
  kDropout = 3,
  kGeneration = 4,
  kTest = 5,
  kWindowOrder = 6,
  kWindowPhase = 7,
  kInitialAdapters = 8,
};

using RandomBlock = std::array<std::uint32_t, 4>;

/// Returns 128 random bits for (seed, stream, minor, index), such as (seed, kInitialWeights,
/// tensor, i).
constexpr RandomBlock random_block(std::uint64_t seed, RandomStream stream, std::uint32_t minor,
                                   std::uint64_t index) noexcept {
  return philox4x32(
      seed, {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), minor,
             static_cast<std::uint32_t>(stream)});
}

/// Returns two words of a block as 64 bits; half is 0 or 1.
constexpr std::uint64_t random_bits64(const RandomBlock& block, unsigned half) noexcept {
  return std::uint64_t{block[2 * half + 1]} << 32 | block[2 * half];
}

/// Returns a uniform number in [0, 1), one of 2^24 values, so that the conversion is exact and
/// never gives 1.
constexpr float uniform_float(std::uint32_t bits) noexcept {
  return static_cast<float>(bits >> 8) * 0x1p-24f;
}

/// Returns a uniform number in [0, 1), one of 2^53 values.
constexpr double uniform_double(std::uint64_t bits) noexcept {
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

/// Returns a uniform number in [0, n). No value is more likely than another by more than n / 2^64
/// of its share. REQUIRES: n > 0.
constexpr std::uint64_t uniform_below(std::uint64_t bits, std::uint64_t n) noexcept {
  // This is floor(bits * n / 2^64) by 32-bit halves, because a 128-bit integer is not ISO C++.
  const std::uint64_t low = (bits & 0xFFFFFFFFu) * (n & 0xFFFFFFFFu);
  const std::uint64_t middle = (bits >> 32) * (n & 0xFFFFFFFFu) + (low >> 32);
  const std::uint64_t cross = (bits & 0xFFFFFFFFu) * (n >> 32) + (middle & 0xFFFFFFFFu);
  return (bits >> 32) * (n >> 32) + (middle >> 32) + (cross >> 32);
}

/// Returns two independent standard normal values from one block (Box and Muller, in double). The
/// last bits are those of the C library's log, sqrt, sin and cos: the same on every thread, and on
/// another machine if its libm agrees.
std::array<double, 2> normal_pair(const RandomBlock& block) noexcept;

}  // namespace cllm
