#include "lattice/coupling.h"

#include <algorithm>

namespace cllm {
namespace {

/// A tile has about so many floats, as a block of parameters has, so that a worker claims seldom
/// and many workers share.
constexpr std::int64_t kTileFloats = 65536;

std::int64_t count(Span<const RowLink> links) noexcept {
  return static_cast<std::int64_t>(links.size());
}

}  // namespace

Coupling::Coupling(std::int64_t vocabulary, std::int64_t width, std::int64_t symmetry_order)
    : neighbours_(vocabulary, symmetry_order), width_(width) {}

std::int64_t Coupling::rows_for(std::int64_t width) noexcept {
  return std::max<std::int64_t>(1, kTileFloats / width);
}

std::int32_t Coupling::tiles_for(std::int64_t vocabulary, std::int64_t width) noexcept {
  const std::int64_t rows = rows_for(width);
  return static_cast<std::int32_t>((vocabulary + rows - 1) / rows);
}

template <class Body>
void Coupling::for_tokens(std::int32_t tile, Body body) const noexcept {
  const std::int64_t end = std::min(neighbours_.vocabulary(), (tile + 1) * rows());
  for (std::int64_t token = tile * rows(); token < end; ++token) body(token, token * width_);
}

void Coupling::fold(const KernelTable& kernels, std::int32_t tile, const float* embedding,
                    const float* w, float* folded) const noexcept {
  for_tokens(tile, [&](std::int64_t token, std::int64_t at) {
    const Span<const RowLink> links = neighbours_.of(token);
    kernels.linked_sum(width_, count(links), links.data(), w, embedding + at, folded + at);
  });
}

void Coupling::unfold(const KernelTable& kernels, std::int32_t tile, const float* embedding,
                      const float* w, const float* folded_gradient, float* gradient,
                      double* dw) const noexcept {
  std::fill_n(dw, neighbours_.symmetry_order(), 0.0);
  for_tokens(tile, [&](std::int64_t token, std::int64_t at) {
    const float* const from = folded_gradient + at;
    const Span<const RowLink> back = neighbours_.into(token), links = neighbours_.of(token);
    kernels.linked_sum(width_, count(back), back.data(), w, from, gradient + at);
    kernels.linked_dots(width_, count(links), links.data(), from, embedding + at, dw);
  });
}

void Coupling::sum_parts(const double* parts, float* dw) const noexcept {
  const std::int64_t V = neighbours_.symmetry_order();
  for (std::int64_t d = 0; d < V; ++d) {
    double sum = 0;
    for (std::int32_t tile = 0; tile < tiles(); ++tile) sum += parts[tile * V + d];
    dw[d] = static_cast<float>(sum);
  }
}

}  // namespace cllm
