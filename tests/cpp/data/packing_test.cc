// Packing takes every example once, overfills no row, and leaves little room.
#include "data/packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/rng.h"

namespace cllm {
namespace {

using Lengths = std::vector<std::int32_t>;
using Row = std::vector<std::int64_t>;

PackedRows packed(const Lengths& lengths, std::int64_t capacity,
                  Packing packing = Packing::kBestFit) {
  return pack({lengths.data(), lengths.size()}, capacity, packing);
}

std::vector<Row> rows_of(const PackedRows& packed) {
  std::vector<Row> rows;
  for (std::int64_t row = 0; row < packed.size(); ++row) {
    rows.emplace_back(packed[row].begin(), packed[row].end());
  }
  return rows;
}

std::int64_t tokens_of(const Row& row, const Lengths& lengths) {
  std::int64_t tokens = 0;
  for (const std::int64_t example : row) tokens += lengths[static_cast<std::size_t>(example)];
  return tokens;
}

Lengths random_lengths(std::size_t count, std::uint32_t most, std::uint64_t seed) {
  Lengths lengths;
  for (std::size_t i = 0; i < count; ++i) {
    lengths.push_back(
        static_cast<std::int32_t>(random_block(seed, RandomStream::kTest, 0, i)[0] % (most + 1)));
  }
  return lengths;
}

/// The same by its definition: the longest first, each into the fullest row in which it fits.
std::vector<Row> by_definition(const Lengths& lengths, std::int64_t capacity) {
  Row order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return lengths[static_cast<std::size_t>(a)] > lengths[static_cast<std::size_t>(b)];
  });
  std::vector<Row> rows;
  for (const std::int64_t example : order) {
    const std::int64_t length = lengths[static_cast<std::size_t>(example)];
    if (length == 0) continue;
    Row* best = nullptr;
    for (Row& row : rows) {
      const std::int64_t tokens = tokens_of(row, lengths);
      const bool fits = tokens + length <= capacity;
      if (fits && (best == nullptr || tokens > tokens_of(*best, lengths))) best = &row;
    }
    if (best == nullptr) best = &rows.emplace_back();
    best->push_back(example);
  }
  return rows;
}

TEST(Packing, PutsTheLongestFirstIntoTheFullestRowWithRoom) {
  EXPECT_EQ(rows_of(packed({3, 7, 5, 2, 3}, 10)), (std::vector<Row>{{1, 0}, {2, 4, 3}}));
  EXPECT_EQ(rows_of(packed({4, 4, 4}, 8)), (std::vector<Row>{{0, 1}, {2}})) << "ties by index";
  EXPECT_EQ(rows_of(packed({5, 5}, 5)), (std::vector<Row>{{0}, {1}})) << "a full row takes no more";
}

TEST(Packing, IsWhatItsDefinitionSays) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto most = static_cast<std::uint32_t>(1 + seed * 3);
    const Lengths lengths = random_lengths(200, most, seed);
    const std::int64_t capacity = most + static_cast<std::int64_t>(seed % 5) * most / 2;
    const PackedRows made = packed(lengths, capacity);
    ASSERT_EQ(rows_of(made), by_definition(lengths, capacity)) << seed;
    ASSERT_EQ(rows_of(packed(lengths, capacity)), rows_of(made)) << "again";
  }
}

TEST(Packing, TakesEveryExampleOnceAndOverfillsNoRow) {
  for (const std::int64_t capacity : {300, 512, 2048}) {
    const Lengths lengths = random_lengths(20'000, 300, 7);
    const std::vector<Row> rows = rows_of(packed(lengths, capacity));
    Row seen;
    for (const Row& row : rows) {
      ASSERT_FALSE(row.empty());
      ASSERT_LE(tokens_of(row, lengths), capacity);
      seen.insert(seen.end(), row.begin(), row.end());
    }
    std::sort(seen.begin(), seen.end());
    Row wanted;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      if (lengths[i] > 0) wanted.push_back(static_cast<std::int64_t>(i));
    }
    EXPECT_EQ(seen, wanted) << "those of no token are left out";
    const std::int64_t total = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
    const auto room = static_cast<double>(static_cast<std::int64_t>(rows.size()) * capacity);
    EXPECT_GT(static_cast<double>(total), 0.99 * room) << "of many short ones rows are full";
  }
}

TEST(Packing, NoneGivesEachARowOfItsOwn) {
  EXPECT_EQ(rows_of(packed({3, 0, 7, 1}, 10, Packing::kNone)), (std::vector<Row>{{0}, {2}, {3}}));
}

TEST(Packing, OfNothingIsNothing) {
  EXPECT_EQ(packed({}, 8).size(), 0);
  EXPECT_EQ(packed({0, 0}, 8).size(), 0);
  EXPECT_EQ(PackedRows().size(), 0);
}

TEST(Packing, OfManyTakesNoTime) {
  // A search through all rows for each of these would take minutes.
  const Lengths lengths(300'000, 700);
  EXPECT_EQ(packed(lengths, 1024).size(), 300'000);
  EXPECT_EQ(packed(lengths, 1400).size(), 150'000);
}

}  // namespace
}  // namespace cllm
