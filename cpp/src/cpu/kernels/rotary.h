// Rotary embeddings turn pairs of a head's numbers, forward and back (Su et al. 2021).
#pragma once

#include "base/matrix_view.h"
#include "cpu/kernels/loops.h"

namespace cllm {
namespace {

/// Calls body(row, at, cosines, sines, count) for the pairs of all heads of all rows: the first
/// numbers of the pairs are [at, at + count) of a row, the others lie half a head further on. All
/// heads of a row turn alike, so it loads their cosines and sines once.
template <class Body>
inline void for_pairs(std::int64_t rows, std::int64_t heads, std::int64_t head_width,
                      const float* turns, Body body) {
  const std::int64_t half = head_width / 2;
  for (std::int64_t r = 0; r < rows; ++r, turns += head_width) {
    for_vectors(half, [&](std::int64_t i, int count) {
      const V cosines = load_some(turns + i, count), sines = load_some(turns + half + i, count);
      for (std::int64_t h = 0; h < heads; ++h) {
        body(r, h * head_width + i, cosines, sines, count);
      }
    });
  }
}

/// x and out are [rows, heads * head_width]; turns is [rows, head_width]; bias (or null) is [heads
/// * head_width].
template <class T>
void rotary_forward(std::int64_t rows, std::int64_t heads, std::int64_t head_width,
                    const float* turns, const float* bias, MatrixView<const float> x,
                    MatrixView<T> out) {
  const std::int64_t half = head_width / 2;
  for_pairs(rows, heads, head_width, turns,
            [&](std::int64_t r, std::int64_t at, V cosines, V sines, int count) {
              V a = load_some(x.row(r) + at, count), b = load_some(x.row(r) + at + half, count);
              if (bias != nullptr) {
                a = add(a, load_some(bias + at, count));
                b = add(b, load_some(bias + at + half, count));
              }
              store_some(out.row(r) + at, fms(a, cosines, mul(b, sines)), count);
              store_some(out.row(r) + at + half, fma(b, cosines, mul(a, sines)), count);
            });
}

/// dout and dx are [rows, heads * head_width]; turns is [rows, head_width].
template <class T>
void rotary_backward(std::int64_t rows, std::int64_t heads, std::int64_t head_width,
                     const float* turns, MatrixView<const T> dout, MatrixView<T> dx) {
  const std::int64_t half = head_width / 2;
  for_pairs(rows, heads, head_width, turns,
            [&](std::int64_t r, std::int64_t at, V cosines, V sines, int count) {
              const V a = load_some(dout.row(r) + at, count);
              const V b = load_some(dout.row(r) + at + half, count);
              store_some(dx.row(r) + at, fma(a, cosines, mul(b, sines)), count);
              store_some(dx.row(r) + at + half, fms(b, cosines, mul(a, sines)), count);
            });
}

}  // namespace
}  // namespace cllm
