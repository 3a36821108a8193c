#include "lattice/neighbours.h"

#include <string>
#include <utility>

#include "cllm/error.h"
#include "cllm/lattice.h"
#include "cllm/model_config.h"

namespace cllm {
namespace {

void check_range(const char* name, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value >= least && value <= most) return;
  throw InputError({"out of range", std::to_string(value),
                    std::to_string(least) + " to " + std::to_string(most), name, ""});
}

}  // namespace

std::int64_t kissing_neighbour(std::int64_t token, std::int64_t direction, std::int64_t vocabulary,
                               std::int64_t symmetry_order) noexcept {
  const std::int64_t V = symmetry_order, first = token / V * V;  // of its ring
  const std::int64_t there = first + (token - first + direction) % V;
  if (direction > 0 && there < vocabulary) return there;
  if (first > 0) return there - V;
  if (direction == 0 && token + V < vocabulary) return token + V;
  if (vocabulary == 1) return token;
  return (token + 1 + direction % (vocabulary - 1)) % vocabulary;
}

std::vector<std::int32_t> kissing_neighbours_of(std::int64_t token, std::int64_t vocabulary,
                                                std::int64_t symmetry_order) {
  check_range("vocab", vocabulary, 1, kMostVocabulary);
  check_range("symmetry", symmetry_order, 1, kMostSymmetry);
  check_range("token", token, 0, vocabulary - 1);
  std::vector<std::int32_t> all;
  all.reserve(static_cast<std::size_t>(symmetry_order));
  for (std::int64_t d = 0; d < symmetry_order; ++d) {
    all.push_back(
        static_cast<std::int32_t>(kissing_neighbour(token, d, vocabulary, symmetry_order)));
  }
  return all;
}

std::vector<std::int32_t> kissing_neighbours(std::int64_t vocabulary, std::int64_t symmetry_order) {
  check_range("vocab", vocabulary, 1, kMostVocabulary);
  check_range("symmetry", symmetry_order, 1, kMostSymmetry);
  std::vector<std::int32_t> all;
  all.reserve(static_cast<std::size_t>(vocabulary * symmetry_order));
  for (std::int64_t token = 0; token < vocabulary; ++token) {
    for (std::int64_t d = 0; d < symmetry_order; ++d) {
      all.push_back(
          static_cast<std::int32_t>(kissing_neighbour(token, d, vocabulary, symmetry_order)));
    }
  }
  return all;
}

// Ring 1 is met by the radial links of ring 0, too; the last ring may be short, and then the ring
// below it stands in for it.
Neighbours::Sharing Neighbours::sharing(std::int64_t vocabulary, std::int64_t order) noexcept {
  const std::int64_t rings = (vocabulary + order - 1) / order;
  if (rings <= 5) return {vocabulary, vocabulary};
  return {3 * order, (rings - 2) * order};
}

Neighbours::Neighbours(std::int64_t vocabulary, std::int64_t symmetry_order)
    : vocabulary_(vocabulary),
      order_(symmetry_order),
      alike_(sharing(vocabulary, symmetry_order).begin),
      top_(sharing(vocabulary, symmetry_order).end) {
  link_out();
  link_in();
}

// Where tokens share lists they have V links into them, and all links are as many as lead out: so
// the stored ones are, too.
std::size_t Neighbours::bytes_for(std::int64_t vocabulary, std::int64_t symmetry_order) noexcept {
  const Sharing shared = sharing(vocabulary, symmetry_order);
  const auto lists = static_cast<std::size_t>(shared.begin + vocabulary - shared.end);
  const std::size_t links = lists * static_cast<std::size_t>(symmetry_order);
  return 2 * ((lists + 1) * sizeof(std::size_t) + links * sizeof(RowLink));
}

void Neighbours::link_out() {
  const auto stored = static_cast<std::size_t>(lists());
  of_.begins.reserve(stored + 1);
  of_.links.reserve(stored * static_cast<std::size_t>(order_));
  of_.begins.push_back(0);
  for (std::int64_t s = 0; s < lists(); ++s) {
    const std::int64_t token = token_of(s);
    for (std::int64_t d = 0; d < order_; ++d) {
      const std::int64_t other = kissing_neighbour(token, d, vocabulary_, order_);
      of_.links.push_back({static_cast<std::int32_t>(other - token), static_cast<std::int32_t>(d)});
    }
    of_.begins.push_back(of_.links.size());
  }
}

// Links into the stored tokens come from these themselves and from the ring above the lower ones.
template <class Body>
void Neighbours::for_links_in(Body body) const {
  for (std::int64_t d = 0; d < order_; ++d) {
    for (std::int64_t token = 0; token < vocabulary_; ++token) {
      if (token == alike_ + order_ && token < top_) token = top_;
      const std::int64_t other = kissing_neighbour(token, d, vocabulary_, order_);
      if (other >= alike_ && other < top_) continue;
      body(slot(other),
           RowLink{static_cast<std::int32_t>(token - other), static_cast<std::int32_t>(d)});
    }
  }
}

// A counting sort keeps the order of the links and needs no memory beside the tables, which are
// large where the order is. While links are placed, the begin of a list is its next free place.
void Neighbours::link_in() {
  std::vector<std::size_t>& begins = into_.begins;
  begins.assign(static_cast<std::size_t>(lists()) + 1, 0);
  for_links_in([&](std::size_t list, const RowLink&) { ++begins[list]; });
  std::size_t next = 0;
  for (std::size_t& begin : begins) next += std::exchange(begin, next);
  into_.links.resize(next);
  for_links_in([&](std::size_t list, const RowLink& link) { into_.links[begins[list]++] = link; });
  for (std::size_t list = begins.size() - 1; list > 0; --list) begins[list] = begins[list - 1];
  begins[0] = 0;
}

}  // namespace cllm
