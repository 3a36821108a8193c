// These are sums over rows that links name: of the rows themselves, and of their products with one
// row. A step has a dozen links for a row, which the caches hold.
#pragma once

#include "cpu/kernel_table.h"
#include "cpu/kernels/loops.h"

namespace cllm {
namespace {

/// Does kVectors registers of the row at once, so that a factor is loaded once for all of them.
template <int kVectors>
inline void linked_sum_at(std::int64_t columns, std::int64_t count, const RowLink* links,
                          const float* factors, const float* x, float* out) {
  V sum[kVectors];
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; ++i) sum[i] = load(x + i * kLanes);
  for (std::int64_t l = 0; l < count; ++l) {
    const float* const row = x + links[l].row * columns;
    const V factor = set1(factors[links[l].factor]);
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) sum[i] = fma(factor, load(row + i * kLanes), sum[i]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < kVectors; ++i) store(out + i * kLanes, sum[i]);
}

/// x and out are rows of [columns].
inline void linked_sum(std::int64_t columns, std::int64_t count, const RowLink* links,
                       const float* factors, const float* x, float* out) {
  std::int64_t c = 0;
  for (; c + 4 * kLanes <= columns; c += 4 * kLanes) {
    linked_sum_at<4>(columns, count, links, factors, x + c, out + c);
  }
  for (; c + kLanes <= columns; c += kLanes) {
    linked_sum_at<1>(columns, count, links, factors, x + c, out + c);
  }
  if (c == columns) return;
  const int rest = static_cast<int>(columns - c);
  V sum = load_partial(x + c, rest);
  for (std::int64_t l = 0; l < count; ++l) {
    const V row = load_partial(x + c + links[l].row * columns, rest);
    sum = fma(set1(factors[links[l].factor]), row, sum);
  }
  store_partial(out + c, sum, rest);
}

/// Does kLinks links at once: a is loaded once for all of them, and their chains of additions do
/// not wait for each other.
template <int kLinks>
inline void linked_dots_of(std::int64_t columns, const RowLink* links, const float* a,
                           const float* y, double* sums) {
  V sum[kLinks];
  const float* row[kLinks];
#pragma GCC unroll 4
  for (int l = 0; l < kLinks; ++l) {
    sum[l] = zero();
    row[l] = y + links[l].row * columns;
  }
  for_vectors(columns, [&](std::int64_t c, int count) {
    const V from = load_some(a + c, count);
#pragma GCC unroll 4
    for (int l = 0; l < kLinks; ++l) sum[l] = fma(from, load_some(row[l] + c, count), sum[l]);
  });
#pragma GCC unroll 4
  for (int l = 0; l < kLinks; ++l) {
    sums[links[l].factor] += static_cast<double>(reduce_add(sum[l]));
  }
}

/// a is [columns]; sums has an element for each factor.
inline void linked_dots(std::int64_t columns, std::int64_t count, const RowLink* links,
                        const float* a, const float* y, double* sums) {
  std::int64_t l = 0;
  for (; l + 4 <= count; l += 4) linked_dots_of<4>(columns, links + l, a, y, sums);
  for (; l < count; ++l) linked_dots_of<1>(columns, links + l, a, y, sums);
}

}  // namespace
}  // namespace cllm
