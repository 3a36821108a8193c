// Dropout of attention's weights is drawn block by block, again in each pass, and never kept
// longer.
#pragma once

#include "cpu/kernels/attention_pack.h"
#include "cpu/kernels/keep_bits.h"

namespace cllm {
namespace {

static_assert(kBlock == kKeepColumns, "a row of a block is one piece of random bits");

/// Returns the dropout of head g of a group, from that of its first head.
inline Dropout dropout_of_head(Dropout dropout, std::int64_t g) {
  dropout.head += static_cast<std::uint32_t>(g);
  return dropout;
}

/// Does no dropout; the compiler removes it all.
struct AllKept {
  explicit AllKept(const Dropout&) {}
  void draw(std::int64_t, std::int64_t, std::int64_t) {}
  V lanes(std::int64_t, std::int64_t, V p) const { return p; }
  V minus(std::int64_t, std::int64_t, V dweight, V delta) const { return sub(dweight, delta); }
  static constexpr float scale() { return 1.0f; }
};

/// Drops weights where they are made. What is kept is scaled after the products, once for each
/// output instead of once for each weight.
class SomeKept {
 public:
  explicit SomeKept(const Dropout& dropout) : dropout_(dropout), scale_(set1(dropout.scale)) {}
  /// Draws for the block of `queries` from query q on and the keys from k on.
  void draw(std::int64_t q, std::int64_t queries, std::int64_t k) {
    const Dropout dropout = dropout_;
    for (std::int64_t r = 0; r < queries; ++r) {
      rows_[r] = keep_bits(dropout, q + r, k / kBlock);
    }
  }
  /// Returns p, with 0 where it is dropped, for row r of the block, columns c to c + kLanes - 1.
  V lanes(std::int64_t r, std::int64_t c, V p) const { return keep_lanes(p, rows_[r] >> c); }
  /// Returns the gradient of the weight before dropout, less delta.
  V minus(std::int64_t r, std::int64_t c, V dweight, V delta) const {
    return fms(lanes(r, c, dweight), scale_, delta);
  }
  float scale() const { return dropout_.scale; }

 private:
  const Dropout dropout_;
  const V scale_;
  std::uint64_t rows_[kBlock];
};

}  // namespace
}  // namespace cllm
