// Bands of rings: what is counted by ring is kept for a few bands, because a lattice may have
// millions of rings.
//
// The lowest rings, which have the most frequent tokens where ids go by frequency, are a band each.
// Above them each half of a doubling is one, so that a ring is in the same band whatever the
// vocabulary.
#pragma once

#include <cstdint>

#include "cllm/model_config.h"

namespace cllm {

constexpr std::int64_t kSingleRings = 16;  // that are a band each

/// Returns the number of the band that a ring is in. REQUIRES: 0 <= ring < kMostVocabulary.
constexpr std::int64_t ring_band(std::int64_t ring) noexcept {
  std::int64_t band = 0;
  for (; ring >= kSingleRings * 2; ring /= 2) band += 2;
  return ring < kSingleRings ? ring
                             : band + kSingleRings + (ring - kSingleRings) * 2 / kSingleRings;
}

/// Returns the lowest ring of a band.
constexpr std::int64_t first_ring(std::int64_t band) noexcept {
  if (band < kSingleRings) return band;
  const std::int64_t above = band - kSingleRings;
  return (kSingleRings + above % 2 * kSingleRings / 2) << (above / 2);
}

static_assert(ring_band(kMostVocabulary - 1) < 64, "a record has at most 64 lines");

}  // namespace cllm
