#include "lattice/neighbours.h"

#include <algorithm>
#include <string>

#include "cllm/error.h"
#include "cllm/lattice.h"

namespace cllm {
namespace {

void check_range(const char* name, std::int64_t value, std::int64_t most) {
  if (value >= 1 && value <= most) return;
  throw InputError(
      {"out of range", std::to_string(value), "1 to " + std::to_string(most), name, ""});
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

std::vector<std::int32_t> kissing_neighbours(std::int64_t vocabulary, std::int64_t symmetry_order) {
  constexpr std::int64_t kMostTokens = 1 << 24, kMostOrder = 4096;  // as of models and the option
  check_range("vocab", vocabulary, kMostTokens);
  check_range("symmetry", symmetry_order, kMostOrder);
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

Neighbours::Neighbours(std::int64_t vocabulary, std::int64_t symmetry_order)
    : vocabulary_(vocabulary), order_(symmetry_order), alike_(vocabulary), top_(vocabulary) {
  // Ring 1 is met by the radial links of ring 0, too; the last ring may be short, and then the ring
  // below it stands in for it.
  const std::int64_t rings = (vocabulary + order_ - 1) / order_;
  if (rings > 5) {
    alike_ = 3 * order_;
    top_ = (rings - 2) * order_;
  }
  link_out();
  link_in();
}

void Neighbours::link_out() {
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
void Neighbours::link_in() {
  struct Link {
    std::size_t to;
    RowLink back;
  };
  std::vector<Link> all;
  for (std::int64_t d = 0; d < order_; ++d) {
    for (std::int64_t token = 0; token < vocabulary_; ++token) {
      if (token == alike_ + order_ && token < top_) token = top_;
      const std::int64_t other = kissing_neighbour(token, d, vocabulary_, order_);
      if (other >= alike_ && other < top_) continue;
      const auto row = static_cast<std::int32_t>(token - other);
      all.push_back({slot(other), {row, static_cast<std::int32_t>(d)}});
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Link& a, const Link& b) { return a.to < b.to; });
  into_.begins.assign(static_cast<std::size_t>(lists()) + 1, 0);
  for (const Link& link : all) {
    ++into_.begins[link.to + 1];
    into_.links.push_back(link.back);
  }
  for (std::size_t s = 1; s < into_.begins.size(); ++s) into_.begins[s] += into_.begins[s - 1];
}

}  // namespace cllm
