// The kernel table has one list of kernels over activations, for both ways of storing them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bf16.h"
#include "base/matrix_view.h"
#include "cpu/dropout.h"

namespace cllm {

/// Describes causal attention of one head of keys and values of one sequence, which serves a group
/// of G heads of queries, side by side. Row t attends to rows first_keys[t]..t.
template <class T>
struct AttentionArgs {
  std::int64_t length;      ///< T
  std::int64_t head_width;  ///< D
  std::int64_t group;       ///< G: 1 or more
  float scale;              ///< multiplies the scores: 1 / sqrt(D)
  const T* q;               ///< [T, G D], rows ld_qkv apart
  const T* k;               ///< [T, D], likewise; and v
  const T* v;
  std::int64_t ld_qkv;
  T* out;  ///< [T, G D], rows ld_out apart: forward writes it, backward reads it
  std::int64_t ld_out;
  float* lse;  ///< [G, T] log-sum-exp of the scaled scores: forward writes it, backward reads it
  float* scratch;   ///< attention_scratch_floats(T, D, G) floats, private to the caller
  Dropout dropout;  ///< for the weights [T, T] of the group's first head, in both passes; threshold
                    ///< 0 costs nothing
  /// [T] where the document of each row begins; documents lie one after another. Null: all at 0.
  const std::int32_t* first_keys;
  // Forward alone uses these: the query rows to do. REQUIRES: row_begin is a multiple of 64.
  std::int64_t row_begin, row_end;
  // Backward alone uses these.
  const T* dout;  ///< [T, G D], rows ld_out apart
  T* dq;          ///< [T, G D], rows ld_dqkv apart, overwritten
  T* dk;          ///< [T, D], likewise; and dv: sums over the group, in the order of its heads
  T* dv;
  std::int64_t ld_dqkv;
};

// T is float, or Bf16 for what products take as operands. All arithmetic is in float; a Bf16 is
// rounded only when it is stored. Where T is float, an output may be the float input of the same
// shape.

template <class T>
struct AttentionKernels {
  /// With Bf16, the weights are also rounded before they multiply v, and so are their gradients.
  void (*attention_forward)(const AttentionArgs<T>& args);
  void (*attention_backward)(const AttentionArgs<T>& args);
  std::size_t (*attention_scratch_floats)(std::int64_t length, std::int64_t head_width,
                                          std::int64_t group);
};

template <class T>
struct RowKernels {
  /// Sets out[R, C] = (x - mean) * rstd * gamma + beta; stores mean[R] and rstd[R], which is 1 /
  /// sqrt(variance + epsilon).
  void (*layernorm_forward)(std::int64_t rows, std::int64_t width, float epsilon, const float* x,
                            const float* gamma, const float* beta, T* out, float* mean,
                            float* rstd);
  /// Sets dx[R, C] = (residual or 0) + the gradient of dout[R, C] through the norm. dx may alias
  /// residual or dout. dx_copy, when given, receives the same; `normed`[R, C], when given, receives
  /// the forward output again. dgamma[C] and dbeta[C] are overwritten with the sums over these
  /// rows, rows in order.
  void (*layernorm_backward)(std::int64_t rows, std::int64_t width, const float* x,
                             const float* dout, const float* gamma, const float* beta,
                             const float* mean, const float* rstd, const float* residual, float* dx,
                             T* dx_copy, T* normed, float* dgamma, float* dbeta);
  /// Sets out[R, C] = x / sqrt(mean of x^2 + epsilon) * weight; stores the factor rstd[R]. C may be
  /// the model's width or that of a head, whose rows lie apart.
  void (*rmsnorm_forward)(std::int64_t rows, std::int64_t width, float epsilon,
                          MatrixView<const float> x, const float* weight, MatrixView<T> out,
                          float* rstd);
  /// Sets dx[R, C] = (residual or 0) + the gradient of dout[R, C] through the norm. dx may alias
  /// residual or dout. dx_copy, unless its data is null, receives the same; `normed`[R, C], unless
  /// its data is null, receives the forward output again. dweight[C] receives (accumulate ? dweight
  /// : 0) + the sums over these rows, rows in order.
  void (*rmsnorm_backward)(std::int64_t rows, std::int64_t width, MatrixView<const float> x,
                           MatrixView<const float> dout, const float* weight, const float* rstd,
                           MatrixView<const float> residual, MatrixView<float> dx,
                           MatrixView<T> dx_copy, MatrixView<T> normed, float* dweight,
                           bool accumulate);
  /// Turns every pair (a, b) = (x[j], x[j + D/2]) of each of `heads` heads side by side, after a
  /// bias unless that is null: sets out[R, heads * D] to (a cos - b sin, b cos + a sin). turns[R,
  /// D] holds D/2 cosines and D/2 sines for each row; see model/rotary_table.h. REQUIRES: D is
  /// even.
  void (*rotary_forward)(std::int64_t rows, std::int64_t heads, std::int64_t head_width,
                         const float* turns, const float* bias, MatrixView<const float> x,
                         MatrixView<T> out);
  /// Turns the gradient dout[R, heads * D] back into dx, which may be dout.
  void (*rotary_backward)(std::int64_t rows, std::int64_t heads, std::int64_t head_width,
                          const float* turns, MatrixView<const T> dout, MatrixView<T> dx);
  /// Sets out[R, N] = x[R, N] + bias[N].
  void (*bias_add)(std::int64_t rows, std::int64_t columns, const float* bias,
                   MatrixView<const float> x, MatrixView<T> out);
  /// Sets g[R, N] = gelu(x[R, N] + bias[N]), in the tanh form (Hendrycks and Gimpel 2016). slope[R,
  /// N], unless its data is null, receives the derivative there.
  void (*bias_gelu)(std::int64_t rows, std::int64_t columns, const float* bias,
                    MatrixView<const float> x, MatrixView<T> g, MatrixView<T> slope);
  /// These do the same with another function: GELU as it is defined, by the normal distribution,
  /// and ReLU.
  void (*bias_gelu_erf)(std::int64_t rows, std::int64_t columns, const float* bias,
                        MatrixView<const float> x, MatrixView<T> g, MatrixView<T> slope);
  void (*bias_relu)(std::int64_t rows, std::int64_t columns, const float* bias,
                    MatrixView<const float> x, MatrixView<T> g, MatrixView<T> slope);
  /// Goes back through any of these: sets dh[R, N] = dg[R, N] * slope[R, N]. sums[N] is overwritten
  /// with the sums of dh over these rows before rounding, rows in order.
  void (*gelu_backward)(std::int64_t rows, std::int64_t columns, MatrixView<const T> slope,
                        MatrixView<const float> dg, MatrixView<T> dh, float* sums);
  /// Sets out[R, N] = silu(gate[R, N]) * up[R, N], where silu(x) = x sigmoid(x). The slopes[R, N],
  /// unless their data is null, receive the derivatives of out by gate and by up.
  void (*swiglu)(std::int64_t rows, std::int64_t columns, MatrixView<const float> gate,
                 MatrixView<const float> up, MatrixView<T> out, MatrixView<T> gate_slope,
                 MatrixView<T> up_slope);
  /// Sets dgate[R, N] = dout[R, N] * gate_slope[R, N] and dup[R, N] = dout * up_slope[R, N].
  void (*swiglu_backward)(std::int64_t rows, std::int64_t columns, MatrixView<const T> gate_slope,
                          MatrixView<const T> up_slope, MatrixView<const float> dout,
                          MatrixView<T> dgate, MatrixView<T> dup);
  /// Sets out[N] = (accumulate ? out : 0) + the sum over rows of x[R, N], rows in order.
  void (*column_sums)(std::int64_t rows, std::int64_t columns, MatrixView<const T> x, float* out,
                      bool accumulate);

  /// Sets out[R, N] = dropout(x[R, N]), whole rows from `first_row` on. sums[N], when given,
  /// receives (accumulate ? sums : 0) + the sum over rows of these before rounding, rows in order.
  void (*dropout_rows)(std::int64_t rows, std::int64_t columns, const float* x,
                       const Dropout& dropout, std::int64_t first_row, T* out, float* sums,
                       bool accumulate);

  // -- loss -----------------------------------------------------------------------------------
  /// Sets out[R, N] = (exp(logits - lse[R]) - [first_column + j == target[R]]) * scale. A row of
  /// out may begin where its row of logits begins, for both types.
  void (*softmax_gradient)(std::int64_t rows, std::int64_t columns, MatrixView<const float> logits,
                           const float* lse, const std::int32_t* targets, std::int64_t first_column,
                           float scale, MatrixView<T> out);
};

template <class T>
struct ActivationKernels : AttentionKernels<T>, RowKernels<T> {};

}  // namespace cllm
