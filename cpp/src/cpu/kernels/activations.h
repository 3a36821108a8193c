// These activations are applied to what a product left, while it is in the cache, and keep their
// slopes for the backward pass: GELU in both forms, and ReLU.
#pragma once

#include "base/matrix_view.h"
#include "cpu/kernels/loops.h"

namespace cllm {
namespace {

// GELU's tanh form is x * sigmoid(z) with z = 2 sqrt(2 / pi) (x + 0.044715 x^3) = x (a + b x^2).
// That takes one division instead of tanh's, and nothing cancels where x is far below 0. The
// exponential is to base 2, with log2 e in the factors, so that reducing its argument is one exact
// subtraction; |z| magnifies the rounding of the factors as much as the rounding of z itself.
constexpr float kGeluA = 1.5957691216f, kGelu2A = 2.3022081985f;
constexpr float kGeluB = 0.0713548163f, kGelu2B = 0.1029432396f;

/// Returns 2^r for |r| <= 1/2, for results that are stored as floats: relative error 1.7e-7.
inline V power_of_two(const float*, V r) {
  V q = fma(set1(0x1.5bb9bep-10f), r, set1(0x1.3ceadap-7f));
  q = fma(q, r, set1(0x1.c6b754p-5f));
  q = fma(q, r, set1(0x1.ebf9bap-3f));
  q = fma(q, r, set1(0x1.62e42ap-1f));
  return fma(q, r, set1(1.0f));
}

/// Results stored as bf16 are off by up to 2^-8 of their value, so degree 4 is enough: 2.8e-6.
inline V power_of_two(const Bf16*, V r) {
  V q = fma(set1(0x1.3a02ccp-7f), r, set1(0x1.c9fc46p-5f));
  q = fma(q, r, set1(0x1.ec0378p-3f));
  q = fma(q, r, set1(0x1.62e12cp-1f));
  return fma(q, r, set1(1.0f));
}

/// Returns 1 / (1 + 2^z), which is sigmoid(-z ln 2); the type of `stored` says how exact the result
/// must be. It is a true division: rcp14 with a Newton step was 15 % slower on Zen 5, and no
/// division at all would be at most 11 % faster on Zen 4.
template <class T>
V gate_below(const T* stored, V z) {
  const V clamped = max(set1(-126.0f), min(set1(128.0f), z));  // in this order a NaN passes through
  const V n = round_nearest(clamped);
  const V power = scale2(power_of_two(stored, sub(clamped, n)), n);
  return div(set1(1.0f), add(set1(1.0f), power));
}

template <class T>
V gelu_gate(const T* stored, V x, V square) {
  return gate_below(stored, mul(x, fma(square, set1(-kGelu2B), set1(-kGelu2A))));
}

/// x, g and slope (unless its data is null) are [rows, columns]; bias is [columns]. `activate`
/// gives the value at h = x + bias and, unless it is handed null, the derivative there.
template <class T, class Activate>
void bias_activation(std::int64_t rows, std::int64_t columns, const float* bias,
                     MatrixView<const float> x, MatrixView<T> g, MatrixView<T> slope,
                     Activate activate) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for_vectors(columns, [&](std::int64_t i, int count) {
      const V h = add(load_some(x.row(r) + i, count), load_some(bias + i, count));
      V derivative = zero();
      store_some(g.row(r) + i, activate(h, slope.data == nullptr ? nullptr : &derivative), count);
      if (slope.data != nullptr) store_some(slope.row(r) + i, derivative, count);
    });
  }
}

/// With s = sigmoid(z): gelu' = s + h s (1 - s) z' = s + gelu (1 - s) (a + 3 b h^2). The gate is
/// known here, so the derivative costs a quarter of making the gate again in backward.
template <class T>
void bias_gelu(std::int64_t rows, std::int64_t columns, const float* bias,
               MatrixView<const float> x, MatrixView<T> g, MatrixView<T> slope) {
  bias_activation(rows, columns, bias, x, g, slope, [&](V h, V* derivative) {
    const V square = mul(h, h), gate = gelu_gate(g.data, h, square), value = mul(h, gate);
    if (derivative == nullptr) return value;
    const V inner = fma(square, set1(3.0f * kGeluB), set1(kGeluA));
    *derivative = fma(mul(value, sub(set1(1.0f), gate)), inner, gate);
    return value;
  });
}

/// Returns the share of the normal distribution below x, where bell = e^(-x^2/2). Its tail beyond
/// |x| is bell t q(t) with t = 1 / (1 + p |x|): as in erfc's old approximations (Hastings 1955),
/// but q is the minimax polynomial of degree 7 for the relative error (1.1e-7, |x| < 13), so that
/// far below 0 nothing cancels.
inline V normal_share(V x, V bell) {
  const V t = div(set1(1.0f), fma(copy_sign(x, set1(1.0f)), set1(0.3046875f), set1(1.0f)));
  V q = fma(set1(0x1.2d0ea6p-5f), t, set1(-0x1.3acd46p-3f));
  q = fma(q, t, set1(0x1.8078eep-3f));
  q = fma(q, t, set1(-0x1.4427fap-5f));
  q = fma(q, t, set1(0x1.f2e532p-4f));
  q = fma(q, t, set1(0x1.a65a8ap-4f));
  q = fma(q, t, set1(0x1.f53dcep-4f));
  q = fma(q, t, set1(0x1.f1b7dap-4f));
  const V tail = mul(mul(bell, t), q);
  // 1 - tail above 0, 0 + tail below.
  return sub(add(set1(0.5f), copy_sign(set1(0.5f), x)), copy_sign(tail, x));
}

/// With the share s of the normal distribution below h: gelu = h s, gelu' = s + h e^(-h^2/2) /
/// sqrt(2 pi).
template <class T>
void bias_gelu_erf(std::int64_t rows, std::int64_t columns, const float* bias,
                   MatrixView<const float> x, MatrixView<T> g, MatrixView<T> slope) {
  bias_activation(rows, columns, bias, x, g, slope, [](V h, V* derivative) {
    const V bell = vexp(mul(mul(h, h), set1(-0.5f))), share = normal_share(h, bell);
    if (derivative != nullptr) *derivative = fma(mul(h, bell), set1(0.3989422804f), share);
    return mul(h, share);
  });
}

/// The slope is 0 below the smallest normal number and 1 from there on.
template <class T>
void bias_relu(std::int64_t rows, std::int64_t columns, const float* bias,
               MatrixView<const float> x, MatrixView<T> g, MatrixView<T> slope) {
  const V least = set1(0x1p-126f);
  bias_activation(rows, columns, bias, x, g, slope, [least](V h, V* derivative) {
    if (derivative != nullptr) *derivative = zero_below(set1(1.0f), h, least);
    return max(zero(), h);  // in this order a NaN passes through
  });
}

/// Does gelu_backward of kRows rows, added to the sums of the rows above.
template <int kRows, class T>
void gelu_backward_rows(std::int64_t columns, MatrixView<const T> slope, MatrixView<const float> dg,
                        MatrixView<T> dh, float* sums) {
  for_vectors(columns, [&](std::int64_t i, int count) {
    V sum = load_some(sums + i, count);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const V d = mul(load_some(dg.row(r) + i, count), load_some(slope.row(r) + i, count));
      store_some(dh.row(r) + i, d, count);
      sum = add(sum, d);
    }
    store_some(sums + i, sum, count);
  });
}

/// slope, dg and dh are [rows, columns]; sums is [columns]. Each pass does four rows, as in
/// column_sums.
template <class T>
void gelu_backward(std::int64_t rows, std::int64_t columns, MatrixView<const T> slope,
                   MatrixView<const float> dg, MatrixView<T> dh, float* sums) {
  for_vectors(columns, [&](std::int64_t i, int count) { store_some(sums + i, zero(), count); });
  std::int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    gelu_backward_rows<4>(columns, slope.at(r, 0), dg.at(r, 0), dh.at(r, 0), sums);
  }
  for (; r < rows; ++r) {
    gelu_backward_rows<1>(columns, slope.at(r, 0), dg.at(r, 0), dh.at(r, 0), sums);
  }
}

}  // namespace
}  // namespace cllm
