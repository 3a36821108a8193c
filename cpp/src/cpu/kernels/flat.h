// These are passes over flat ranges of the parameter buffers: sums, norms, the optimizer.
#pragma once

#include <cstddef>

#include "cpu/kernel_table.h"
#include "cpu/kernels/loops.h"

namespace cllm {
namespace {

inline void add_ranges(std::size_t n, const float* a, const float* b, float* out) {
  for_vectors(static_cast<std::int64_t>(n), [&](std::int64_t i, int count) {
    store_some(out + i, add(load_some(a + i, count), load_some(b + i, count)), count);
  });
}

inline void ordered_sum(std::size_t n, int count, const float* const* sources, float* out) {
  for_vectors(static_cast<std::int64_t>(n), [&](std::int64_t i, int lanes) {
    V sum = load_some(sources[0] + i, lanes);
    for (int s = 1; s < count; ++s) sum = add(sum, load_some(sources[s] + i, lanes));
    store_some(out + i, sum, lanes);
  });
}

inline double sum_squares(std::size_t n, const float* x) {
  return long_sum(static_cast<std::int64_t>(n), [&](std::int64_t i, int count) {
    const V v = load_some(x + i, count);
    return mul(v, v);
  });
}

/// Computes in this order, with fma where the scalar table rounds twice:
///   g = gradient * gradient_scale
///   m = fma(rest1, g, beta1 * m)
///   v = fma(rest2, g * g, beta2 * v)
///   u = (m * correction1) / (sqrt(v * correction2) + epsilon)
///   p = p - learning_rate * fma(weight_decay, p, u)
inline void adamw(std::size_t n, const AdamWArgs& args, const float* gradient, float* parameter,
                  float* first_moment, float* second_moment) {
  const V scale = set1(args.gradient_scale);
  const V beta1 = set1(args.beta1), rest1 = set1(args.rest1);
  const V beta2 = set1(args.beta2), rest2 = set1(args.rest2);
  const V correction1 = set1(args.correction1), correction2 = set1(args.correction2);
  const V epsilon = set1(args.epsilon);
  const V decay = set1(args.weight_decay), rate = set1(args.learning_rate);
  for_vectors(static_cast<std::int64_t>(n), [&](std::int64_t i, int count) {
    const V g = mul(load_some(gradient + i, count), scale);
    const V m = fma(rest1, g, mul(beta1, load_some(first_moment + i, count)));
    const V v = fma(rest2, mul(g, g), mul(beta2, load_some(second_moment + i, count)));
    const V root = add(sqrt_(mul(v, correction2)), epsilon);
    const V update = div(mul(m, correction1), root);
    const V p = load_some(parameter + i, count);
    store_some(first_moment + i, m, count);
    store_some(second_moment + i, v, count);
    store_some(parameter + i, fnma(rate, fma(decay, p, update), p), count);
  });
}

inline void round_range(std::size_t n, const float* x, Bf16* out) {
  for_vectors(static_cast<std::int64_t>(n), [&](std::int64_t i, int count) {
    store_some(out + i, load_some(x + i, count), count);
  });
}

inline void widen_range(std::size_t n, const Bf16* x, float* out) {
  for_vectors(static_cast<std::int64_t>(n), [&](std::int64_t i, int count) {
    store_some(out + i, load_some(x + i, count), count);
  });
}

inline void exp_range(std::size_t n, const float* x, float* out) {
  for_vectors(static_cast<std::int64_t>(n), [&](std::int64_t i, int count) {
    store_some(out + i, vexp(load_some(x + i, count)), count);
  });
}

inline void tanh_range(std::size_t n, const float* x, float* out) {
  for_vectors(static_cast<std::int64_t>(n), [&](std::int64_t i, int count) {
    store_some(out + i, vtanh(load_some(x + i, count)), count);
  });
}

}  // namespace
}  // namespace cllm
