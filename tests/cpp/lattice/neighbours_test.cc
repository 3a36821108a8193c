// Every token has V neighbours, for any vocabulary and order, and the lists that tokens share say
// what the definition says.
#include "lattice/neighbours.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "cllm/error.h"
#include "cllm/lattice.h"
#include "cllm/model_config.h"

namespace cllm {
namespace {

const std::int64_t kOrders[] = {1, 2, 3, 5, 6, 12, 24, 100};

/// Calls body(vocabulary, order) for every vocabulary up to seven rings and a few beyond.
template <class Body>
void for_lattices(Body body) {
  for (const std::int64_t order : kOrders) {
    for (std::int64_t vocabulary = 1; vocabulary <= std::min<std::int64_t>(7 * order + 2, 150);
         ++vocabulary) {
      body(vocabulary, order);
    }
    for (const std::int64_t vocabulary : {std::int64_t{257}, std::int64_t{1000}, 9 * order - 1}) {
      body(vocabulary, order);
    }
  }
}

std::vector<RowLink> all(Span<const RowLink> links) { return {links.begin(), links.end()}; }

TEST(Neighbours, EachDirectionLeadsToAnotherTokenWhereThereIsOne) {
  for_lattices([](std::int64_t vocabulary, std::int64_t order) {
    for (std::int64_t token = 0; token < vocabulary; ++token) {
      for (std::int64_t d = 0; d < order; ++d) {
        const std::int64_t other = kissing_neighbour(token, d, vocabulary, order);
        ASSERT_GE(other, 0);
        ASSERT_LT(other, vocabulary);
        ASSERT_EQ(other == token, vocabulary == 1) << token << " in direction " << d;
      }
    }
  });
}

TEST(Neighbours, OfAFullLatticeAreTheRingMatesAndOneOfTheNextRing) {
  for_lattices([](std::int64_t vocabulary, std::int64_t order) {
    if (vocabulary < 2 * order) return;
    for (std::int64_t token = 0; token < vocabulary; ++token) {
      const std::int64_t ring = token / order, group = token % order;
      EXPECT_EQ(kissing_neighbour(token, 0, vocabulary, order),
                (ring == 0 ? 1 : ring - 1) * order + group);
      std::set<std::int64_t> seen = {kissing_neighbour(token, 0, vocabulary, order)};
      for (std::int64_t d = 1; d < order; ++d) {
        const std::int64_t other = kissing_neighbour(token, d, vocabulary, order);
        seen.insert(other);
        ASSERT_EQ(other % order, (group + d) % order) << "it is in the direction's group";
        const bool short_ring = ring * order + other % order >= vocabulary;
        ASSERT_EQ(other / order, short_ring ? ring - 1 : ring);
      }
      ASSERT_EQ(static_cast<std::int64_t>(seen.size()), order) << "no neighbour comes twice";
    }
  });
}

TEST(Neighbours, SharedListsSayWhatTheDefinitionSays) {
  for_lattices([](std::int64_t vocabulary, std::int64_t order) {
    const Neighbours neighbours(vocabulary, order);
    std::vector<std::vector<RowLink>> back(static_cast<std::size_t>(vocabulary));
    for (std::int64_t d = 0; d < order; ++d) {
      for (std::int64_t token = 0; token < vocabulary; ++token) {
        const std::int64_t other = kissing_neighbour(token, d, vocabulary, order);
        back[static_cast<std::size_t>(other)].push_back(
            {static_cast<std::int32_t>(token - other), static_cast<std::int32_t>(d)});
      }
    }
    for (std::int64_t token = 0; token < vocabulary; ++token) {
      const std::vector<RowLink> links = all(neighbours.of(token));
      ASSERT_EQ(static_cast<std::int64_t>(links.size()), order);
      for (std::int64_t d = 0; d < order; ++d) {
        const RowLink& link = links[static_cast<std::size_t>(d)];
        ASSERT_EQ(link.factor, d);
        ASSERT_EQ(token + link.row, kissing_neighbour(token, d, vocabulary, order));
      }
      ASSERT_EQ(all(neighbours.into(token)), back[static_cast<std::size_t>(token)])
          << "into " << token << " of " << vocabulary << ", order " << order;
    }
  });
}

TEST(Neighbours, OfAllTokensAreAList) {
  const std::vector<std::int32_t> all = kissing_neighbours(30, 12);
  ASSERT_EQ(all.size(), 30u * 12);
  EXPECT_EQ(all[25 * 12], 13) << "radial";
  EXPECT_EQ(all[25 * 12 + 4], 29) << "a mate";
  EXPECT_EQ(all[25 * 12 + 5], 18) << "a mate that the short ring lacks";
  EXPECT_THROW(kissing_neighbours(0, 12), InputError);
  EXPECT_THROW(kissing_neighbours(5, 0), InputError);
  EXPECT_THROW(kissing_neighbours(std::int64_t{1} << 40, 12), InputError);
}

TEST(Neighbours, OfOneTokenAreItsRowOfTheList) {
  for (const std::int64_t vocabulary : {1, 5, 13, 30}) {
    const std::vector<std::int32_t> all = kissing_neighbours(vocabulary, 12);
    for (std::int64_t token = 0; token < vocabulary; ++token) {
      const auto row = all.begin() + token * 12;
      EXPECT_EQ(kissing_neighbours_of(token, vocabulary, 12),
                std::vector<std::int32_t>(row, row + 12));
    }
  }
  EXPECT_EQ(kissing_neighbours_of(kMostVocabulary - 1, kMostVocabulary, kMostSymmetry).size(),
            4096u);
  EXPECT_THROW(kissing_neighbours_of(30, 30, 12), InputError);
  EXPECT_THROW(kissing_neighbours_of(-1, 30, 12), InputError);
  EXPECT_THROW(kissing_neighbours_of(0, 30, kMostSymmetry + 1), InputError);
}

TEST(Neighbours, TakeTheBytesThatArePlanned) {
  for_lattices([](std::int64_t vocabulary, std::int64_t order) {
    const Neighbours neighbours(vocabulary, order);
    std::set<const RowLink*> lists;
    std::size_t links = 0;
    for (std::int64_t token = 0; token < vocabulary; ++token) {
      if (!lists.insert(neighbours.of(token).data()).second) continue;
      links += neighbours.of(token).size() + neighbours.into(token).size();
    }
    EXPECT_EQ(Neighbours::bytes_for(vocabulary, order),
              links * sizeof(RowLink) + 2 * (lists.size() + 1) * sizeof(std::size_t))
        << vocabulary << " tokens, order " << order;
  });
}

TEST(Neighbours, TheLargestVocabularyTakesNoMoreMemoryThanASmallOne) {
  const std::int64_t last = (std::int64_t{1} << 24) - 1;
  const Neighbours neighbours(last + 1, 12);
  EXPECT_EQ(neighbours.of(last)[0].row, -12);
  EXPECT_EQ(neighbours.of(last / 2).data(), neighbours.of(last / 2 + 12).data());
  EXPECT_LT(Neighbours::bytes_for(last + 1, 12), 20000u);
}

}  // namespace
}  // namespace cllm
