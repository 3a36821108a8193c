// Element-wise kernels use two loops: for every vector, and sum over every vector.
//
// No kernel header calls an inline function of the standard library: an unoptimised build would
// emit it with this ISA's instructions, under a name that the whole program shares.
#pragma once

#include <cstdint>

#include "cpu/kernels/vec.h"

namespace cllm {
namespace {

/// Loads `count` lanes. In all calls but the last, `count` is the constant kLanes, so the branch
/// folds away.
template <class T>
inline V load_some(const T* p, int count) {
  return count == kLanes ? load(p) : load_partial(p, count);
}

template <class T>
inline void store_some(T* p, V v, int count) {
  if (count == kLanes) {
    store(p, v);
  } else {
    store_partial(p, v, count);
  }
}

/// Calls body(i, count) for the elements [i, i + count) of [0, n), in order.
template <class Body>
inline void for_vectors(std::int64_t n, Body body) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, kLanes);
  if (i < n) body(i, static_cast<int>(n - i));
}

/// Returns the sum of term(i, count), a register whose lanes >= count are 0. It adds into four
/// running registers, the remainder into the first, then by pairs, then lanes; the order depends on
/// n alone.
template <class Term>
inline float lane_sum(std::int64_t n, Term term) {
  V s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    s0 = add(s0, term(i, kLanes));
    s1 = add(s1, term(i + kLanes, kLanes));
    s2 = add(s2, term(i + 2 * kLanes, kLanes));
    s3 = add(s3, term(i + 3 * kLanes, kLanes));
  }
  for (; i + kLanes <= n; i += kLanes) s0 = add(s0, term(i, kLanes));
  if (i < n) s0 = add(s0, term(i, static_cast<int>(n - i)));
  return reduce_add(add(add(s0, s1), add(s2, s3)));
}

/// Does the same over a long range: it adds runs of 1024 elements, in order, and their sums in
/// double, so that the error stays that of one run.
template <class Term>
inline double long_sum(std::int64_t n, Term term) {
  constexpr std::int64_t kRun = 1024;
  double total = 0.0;
  for (std::int64_t begin = 0; begin < n; begin += kRun) {
    const std::int64_t size = n - begin < kRun ? n - begin : kRun;
    const float run =
        lane_sum(size, [&](std::int64_t i, int count) { return term(begin + i, count); });
    total += static_cast<double>(run);
  }
  return total;
}

}  // namespace
}  // namespace cllm
