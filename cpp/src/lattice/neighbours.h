// The kissing neighbours of tokens: which V others touch a token in the lattice.
//
// Tokens sit on rings of V. Token t = r V + g is at ring r, in symmetry group g. It has one
// neighbour in each direction d in [0, V). Direction 0 is the radial one and leads to the same
// group of ring r - 1; ring 0, which has none below, goes up to ring 1. Direction d > 0 leads to
// the ring mate of group (g + d) mod V; a mate past the end of the vocabulary is taken from ring r
// - 1. Where that is no token either (one ring, or no partner in a short ring 1), the directions go
// through the tokens after t, around the vocabulary's end. A token is its own neighbour only where
// it is the only one.
#pragma once

#include <cstdint>
#include <vector>

#include "base/span.h"
#include "cpu/kernel_table.h"

namespace cllm {

/// Returns the neighbour of a token in a direction. REQUIRES: vocabulary >= 1, order V >= 1,
/// 0 <= token < vocabulary, 0 <= direction < V.
std::int64_t kissing_neighbour(std::int64_t token, std::int64_t direction, std::int64_t vocabulary,
                               std::int64_t symmetry_order) noexcept;

/// Holds the neighbours of all tokens and the way back from them. It is immutable after
/// construction. All rings but the lowest three and the highest two look alike, and one stands for
/// them, so its size does not grow with the vocabulary; it grows with the square of the order.
class Neighbours {
 public:
  Neighbours(std::int64_t vocabulary, std::int64_t symmetry_order);
  static std::size_t bytes_for(std::int64_t vocabulary, std::int64_t symmetry_order) noexcept;

  std::int64_t vocabulary() const noexcept { return vocabulary_; }
  std::int64_t symmetry_order() const noexcept { return order_; }

  /// Returns the V links from a token to its neighbours, in the order of directions. A link's
  /// factor is its direction.
  Span<const RowLink> of(std::int64_t token) const noexcept { return of_.at(slot(token)); }
  /// Returns the links from a token to those whose neighbour it is, in the order of directions,
  /// then of tokens. A link's factor is the direction that leads back.
  Span<const RowLink> into(std::int64_t token) const noexcept { return into_.at(slot(token)); }

 private:
  /// Holds the links of several tokens, one after another.
  struct Lists {
    std::vector<std::size_t> begins;
    std::vector<RowLink> links;
    Span<const RowLink> at(std::size_t list) const noexcept {
      return {links.data() + begins[list], begins[list + 1] - begins[list]};
    }
  };

  /// Returns the number of the lists that a token has or shares.
  std::size_t slot(std::int64_t token) const noexcept {
    if (token < alike_) return static_cast<std::size_t>(token);
    if (token < top_) return static_cast<std::size_t>(alike_ - order_ + token % order_);
    return static_cast<std::size_t>(token - top_ + alike_);
  }
  /// Returns the token whose own links a list holds.
  std::int64_t token_of(std::int64_t slot) const noexcept {
    return slot < alike_ ? slot : slot - alike_ + top_;
  }
  std::int64_t lists() const noexcept { return alike_ + vocabulary_ - top_; }
  /// Says which tokens share the lists of the ring before them: [begin, end).
  struct Sharing {
    std::int64_t begin, end;
  };
  static Sharing sharing(std::int64_t vocabulary, std::int64_t order) noexcept;
  void link_out();
  void link_in();
  /// Calls body(list, link back) for each link into a stored token, by direction, then by token.
  template <class Body>
  void for_links_in(Body body) const;

  const std::int64_t vocabulary_, order_;
  const std::int64_t alike_, top_;  // tokens [alike_, top_) share lists
  Lists of_, into_;
};

}  // namespace cllm
