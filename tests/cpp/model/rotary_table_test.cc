// The angles of rotary embeddings are those of transformers, and their table is exact.
#include "model/rotary_table.h"

#include <gtest/gtest.h>

#include <cmath>

namespace cllm {
namespace {

/// Checks against frequencies that transformers 5 computed. Its powers of floats may differ in the
/// last digit between CPUs.
void expect_frequencies(const std::vector<float>& seen, const std::vector<double>& wanted) {
  ASSERT_EQ(seen.size(), wanted.size());
  for (std::size_t j = 0; j < seen.size(); ++j) {
    EXPECT_NEAR(double{seen[j]}, wanted[j], wanted[j] * 1.2e-7) << j;
  }
}

TEST(RotaryTable, FrequenciesFallWithTheNumberOfThePair) {
  expect_frequencies(
      rotary_frequencies(12, 1e4, nullptr),
      {0x1p+0, 0x1.b93a6ap-3, 0x1.7c3d2ap-5, 0x1.47ae14p-7, 0x1.1a62d2p-9, 0x1.e6b4b8p-12});
  EXPECT_TRUE(rotary_frequencies(0, 1e4, nullptr).empty());
}

TEST(RotaryTable, Llama3StretchesSlowTurnsAndMixesThoseBetween) {
  const Llama3Scaling short_texts{8.0, 1.0, 4.0, 256};
  expect_frequencies(rotary_frequencies(16, 5e5, &short_texts),
                     {0x1p+0, 0x1.8d2760p-3, 0x1.595116p-7, 0x1.ddee9ep-11, 0x1.72ba42p-13,
                      0x1.1f91f0p-15, 0x1.be2188p-18, 0x1.5a0f4ep-20});
  const Llama3Scaling of_llama_3_2{32.0, 1.0, 4.0, 8192};
  expect_frequencies(rotary_frequencies(16, 5e5, &of_llama_3_2),
                     {0x1p+0, 0x1.8d2760p-3, 0x1.341190p-5, 0x1.ddee9ep-8, 0x1.c26c40p-12,
                      0x1.1f91f0p-17, 0x1.be2188p-20, 0x1.5a0f4ep-22});
}

TEST(RotaryTable, HoldsCosinesThenSinesOfFloatAngles) {
  const std::vector<float> frequencies = rotary_frequencies(12, 1e4, nullptr);
  std::vector<float> turns(3 * 12 + 1, 9.0f);
  fill_rotary_table(frequencies, 8190, 3, turns.data());
  EXPECT_EQ(turns.back(), 9.0f);
  // Position 8191 in transformers. With angles in double, the first sine would be 1e-4 off.
  const std::vector<double> cosines = {-0.646390498, 0.638840854, -0.998212874,
                                       0.973987579,  0.359947056, -0.789787889};
  const std::vector<double> sines = {-0.763006806, -0.769338906, -0.059758175,
                                     0.226601541,  -0.932972729, -0.613380075};
  for (std::size_t j = 0; j < 6; ++j) {
    EXPECT_NEAR(double{turns[12 + j]}, cosines[j], 1e-7) << j;
    EXPECT_NEAR(double{turns[18 + j]}, sines[j], 1e-7) << j;
  }
}

TEST(RotaryTable, PartsAreThoseOfTheWhole) {
  const std::vector<float> frequencies = rotary_frequencies(16, 5e5, nullptr);
  std::vector<float> whole(33 * 16), part(5 * 16);
  fill_rotary_table(frequencies, 0, 33, whole.data());
  fill_rotary_table(frequencies, 28, 5, part.data());
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 28 * 16));
  for (std::size_t j = 0; j < 8; ++j) {  // nothing turns at the first position
    EXPECT_EQ(whole[j], 1.0f);
    EXPECT_EQ(whole[8 + j], 0.0f);
  }
}

}  // namespace
}  // namespace cllm
