// The coupling of the lattice adds to each token's embedding those of its kissing neighbours:
// E'[t] = E[t] + sum over directions d of w_d E[n_d(t)], and gives the gradients of E and w.
//
// dE[s] = dE'[s] + sum over d of w_d * (sum over t with n_d(t) = s of dE'[t]), by direction, then
// by token. dw_d = sum over t of the product of dE'[t] and E[n_d(t)]: token by token within a tile,
// then tile by tile, in double. Cost for V' tokens of C floats, in multiplications with an
// addition: V V' C for E', 2 V V' C for the gradients; each tile's rows stay in the caches.
//
// Letters: V' vocabulary, C width, V symmetry order.
#pragma once

#include <cstdint>

#include "cpu/kernel_table.h"
#include "lattice/neighbours.h"

namespace cllm {

/// Cuts the work into tiles of whole tokens; they may run in any order, at the same time. It is
/// immutable after construction.
class Coupling {
 public:
  Coupling(std::int64_t vocabulary, std::int64_t width, std::int64_t symmetry_order);

  /// Returns the number of tiles; it depends on shapes only.
  std::int32_t tiles() const noexcept { return tiles_for(neighbours_.vocabulary(), width_); }
  static std::int32_t tiles_for(std::int64_t vocabulary, std::int64_t width) noexcept;

  /// Computes the tile's rows of folded = E'[V', C] from embedding = E[V', C] and w[V].
  void fold(const KernelTable& kernels, std::int32_t tile, const float* embedding, const float* w,
            float* folded) const noexcept;

  /// Computes the tile's rows of gradient = dE[V', C], and its own part dw[V] of the gradient of w,
  /// from folded_gradient = dE'[V', C].
  void unfold(const KernelTable& kernels, std::int32_t tile, const float* embedding, const float* w,
              const float* folded_gradient, float* gradient, double* dw) const noexcept;

  /// Adds the parts[tiles, V] of all tiles into dw[V].
  void sum_parts(const double* parts, float* dw) const noexcept;

  const Neighbours& neighbours() const noexcept { return neighbours_; }
  std::int64_t width() const noexcept { return width_; }

 private:
  std::int64_t rows() const noexcept { return rows_for(width_); }
  static std::int64_t rows_for(std::int64_t width) noexcept;
  /// Calls body(token, offset of its row) for the tile's tokens, in order.
  template <class Body>
  void for_tokens(std::int32_t tile, Body body) const noexcept;

  const Neighbours neighbours_;
  const std::int64_t width_;
};

}  // namespace cllm
