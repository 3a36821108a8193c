// The fused cross-entropy needs the softmax over rows of logits: its statistics and its gradient.
#pragma once

#include "base/matrix_view.h"
#include "cpu/kernels/loops.h"

namespace cllm {
namespace {

/// Returns the largest of x[0, n), n >= 1. It may skip a NaN, because the sum of exponentials keeps
/// it.
inline float largest(std::int64_t n, const float* x) {
  V m0 = set1(x[0]), m1 = m0, m2 = m0, m3 = m0;
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    m0 = max(m0, load(x + i));
    m1 = max(m1, load(x + i + kLanes));
    m2 = max(m2, load(x + i + 2 * kLanes));
    m3 = max(m3, load(x + i + 3 * kLanes));
  }
  for (; i + kLanes <= n; i += kLanes) m0 = max(m0, load(x + i));
  if (i < n) {
    const int count = static_cast<int>(n - i);
    m0 = max(m0, first_lanes(load_partial(x + i, count), count, m0));
  }
  return reduce_max(max(max(m0, m1), max(m2, m3)));
}

/// logits is [rows, columns >= 1]; row_max and row_sum are [rows]. A NaN or +inf
/// among the logits makes the sum NaN, so that the loss shows it.
inline void softmax_stats(std::int64_t rows, std::int64_t columns, MatrixView<const float> logits,
                          float* row_max, float* row_sum) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* const row = logits.row(r);
    row_max[r] = largest(columns, row);
    const V top = set1(row_max[r]);
    row_sum[r] = static_cast<float>(long_sum(columns, [&](std::int64_t i, int count) {
      const V e = vexp(sub(load_some(row + i, count), top));
      return count == kLanes ? e : first_lanes(e, count, zero());
    }));
  }
}

/// logits and out are [rows, columns]; lse and targets are [rows]. Sets
/// out = (softmax - one-hot) * scale. A target outside [first_column, first_column + columns)
/// belongs to another block of the vocabulary. In place, a row of Bf16 is written behind the floats
/// that are read.
template <class T>
void softmax_gradient(std::int64_t rows, std::int64_t columns, MatrixView<const float> logits,
                      const float* lse, const std::int32_t* targets, std::int64_t first_column,
                      float scale, MatrixView<T> out) {
  const V factor = set1(scale);
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* const row = logits.row(r);
    T* const to = out.row(r);
    const V shift = set1(lse[r]);
    const std::int64_t target = targets[r] - first_column;
    const bool here = target >= 0 && target < columns;
    const V probability = here ? vexp(sub(set1(row[target]), shift)) : zero();
    for_vectors(columns, [&](std::int64_t i, int count) {
      const V e = vexp(sub(load_some(row + i, count), shift));
      store_some(to + i, mul(e, factor), count);
    });
    if (here) store_partial(to + target, mul(sub(probability, set1(1.0f)), factor), 1);
  }
}

}  // namespace
}  // namespace cllm
