// Every ring is in one band, bands follow each other without a gap, and there are few.
#include "lattice/ring_bands.h"

#include <gtest/gtest.h>

namespace cllm {
namespace {

TEST(RingBands, FollowEachOther) {
  for (std::int64_t ring = 0; ring < 5000; ++ring) {
    const std::int64_t band = ring_band(ring);
    EXPECT_LE(first_ring(band), ring);
    EXPECT_LT(ring, first_ring(band + 1));
    EXPECT_EQ(ring_band(first_ring(band)), band);
  }
}

TEST(RingBands, AreEachRingAndThenHalvesOfADoubling) {
  EXPECT_EQ(ring_band(15), 15);
  const std::int64_t firsts[] = {16, 24, 32, 48, 64, 96, 128};
  for (std::int64_t i = 0; i < 7; ++i) EXPECT_EQ(first_ring(16 + i), firsts[i]);
}

TEST(RingBands, OfTheLargestVocabularyAreFew) {
  EXPECT_EQ(ring_band(kMostVocabulary - 1), 55);
  EXPECT_EQ(first_ring(56), kMostVocabulary);
}

}  // namespace
}  // namespace cllm
