// The arithmetic of one instruction set is a table of functions, chosen once at start.
//
// Every ISA implements every entry; the scalar one is the reference. All functions are noexcept in
// effect and allocate nothing. Their bits depend only on the values and sizes of their arguments,
// never on addresses, alignment, or how a caller cut a larger product into calls (rows and columns
// of a product are independent; sums run in the index order that is stated).
//
// Letters: R rows, N columns, C model width, D head width, T sequence length. Matrices
// are row-major; attention's `ld_*` is the distance between rows in elements.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/activation_kernels.h"
#include "cpu/product_kernels.h"

namespace cllm {

/// Holds the factors of one AdamW update (Loshchilov and Hutter 2019) that are the same for every
/// element; the caller computes them.
struct AdamWArgs {
  float learning_rate;
  float beta1, beta2, epsilon;
  float weight_decay;    ///< decoupled; 0 for vectors
  float correction1;     ///< 1 / (1 - beta1^t)
  float correction2;     ///< 1 / (1 - beta2^t)
  float gradient_scale;  ///< clipping: multiplies the gradient first
  // These are 1 - beta, given where a float's difference would not be exact enough.
  float rest1 = 1.0f - beta1;
  float rest2 = 1.0f - beta2;
};

/// Leads from a row of a matrix to another one: `row` rows on (back, if it is below 0), with factor
/// number `factor`.
struct RowLink {
  std::int32_t row, factor;
};

inline bool operator==(const RowLink& a, const RowLink& b) noexcept {
  return a.row == b.row && a.factor == b.factor;
}

/// These are passes over floats, whatever the type of the activations.
struct FloatKernels {
  // -- rows -----------------------------------------------------------------------------------
  /// Sets x[R, N] = (x + bias[N]) + residual[R, N].
  void (*bias_residual)(std::int64_t rows, std::int64_t columns, const float* bias,
                        MatrixView<const float> residual, MatrixView<float> x);
  /// Sets x[R, N] = dropout(x + bias[N]) + residual[R, N]; x[0, 0] is element (first_row,
  /// first_column) of the matrix.
  void (*bias_dropout_residual)(std::int64_t rows, std::int64_t columns, const float* bias,
                                const Dropout& dropout, std::int64_t first_row,
                                std::int64_t first_column, MatrixView<const float> residual,
                                MatrixView<float> x);

  /// Sets out[N] to x[N], and adds for each link l in order: factors[l.factor] times the row of N
  /// that is l.row rows after x. out may alias no row that is read.
  void (*linked_sum)(std::int64_t columns, std::int64_t count, const RowLink* links,
                     const float* factors, const float* x, float* out);
  /// Adds to sums[l.factor], for each link l in order, the product of a[N] and the row that is
  /// l.row rows after y: lane by lane along the row, then the lanes.
  void (*linked_dots)(std::int64_t columns, std::int64_t count, const RowLink* links,
                      const float* a, const float* y, double* sums);

  // -- loss -----------------------------------------------------------------------------------
  /// Sets row_max[R] = max over N; row_sum[R] = sum over N of exp(logits - max).
  void (*softmax_stats)(std::int64_t rows, std::int64_t columns, MatrixView<const float> logits,
                        float* row_max, float* row_sum);

  // -- flat ranges ----------------------------------------------------------------------------
  /// Sets out[n] = a[n] + b[n]; out may alias either.
  void (*add)(std::size_t n, const float* a, const float* b, float* out);
  /// Sets out[n] = ((s0 + s1) + s2) + ...; out may alias a source. REQUIRES: count >= 1.
  void (*ordered_sum)(std::size_t n, int count, const float* const* sources, float* out);
  /// Returns the sum of squares; lanes and runs are added in a fixed order of index.
  double (*sum_squares)(std::size_t n, const float* x);
  /// Does one AdamW update of n elements.
  void (*adamw)(std::size_t n, const AdamWArgs& args, const float* gradient, float* parameter,
                float* first_moment, float* second_moment);
  /// These set out[n] = x[n], rounded, and back.
  void (*round_bf16)(std::size_t n, const float* x, Bf16* out);
  void (*widen_bf16)(std::size_t n, const Bf16* x, float* out);

  // -- for tests ------------------------------------------------------------------------------
  void (*exp)(std::size_t n, const float* x, float* out);   ///< own polynomial: see vec_math.h
  void (*tanh)(std::size_t n, const float* x, float* out);  ///< likewise
};

/// The bases hold the kernels over activations that are floats. kernel_cases.h says how each kernel
/// is called.
struct KernelTable : ActivationKernels<float>, ProductKernels<float>, FloatKernels {
  ActivationKernels<Bf16> bf16;
  ProductKernels<Bf16> bf16_products;
  std::size_t gemm_scratch_floats;  ///< for gemm and gemm_weight, for both types

  const char* name;   ///< "scalar", "avx2", "avx512", "avx512bf16"
  int vector_floats;  ///< floats in one vector register: 1, 8, 16
  bool bf16_units;    ///< instructions for bf16 multiply bf16; else it is converted to float
};

template <class T>
const ProductKernels<T>& product_kernels(const KernelTable& table) noexcept;
template <>
inline const ProductKernels<float>& product_kernels(const KernelTable& table) noexcept {
  return table;
}
template <>
inline const ProductKernels<Bf16>& product_kernels(const KernelTable& table) noexcept {
  return table.bf16_products;
}

template <class T>
const ActivationKernels<T>& activation_kernels(const KernelTable& table) noexcept;
template <>
inline const ActivationKernels<float>& activation_kernels(const KernelTable& table) noexcept {
  return table;
}
template <>
inline const ActivationKernels<Bf16>& activation_kernels(const KernelTable& table) noexcept {
  return table.bf16;
}

/// Returns the table in use: the best that this CPU runs, or the one that
/// CLLM_ISA=scalar|avx2|avx512|avx512bf16 names. Throws InputError when CLLM_ISA names one that
/// cannot run here or does not exist.
const KernelTable& kernels();

/// Returns a table by name, or nullptr when this CPU (or this build) cannot run it.
const KernelTable* find_kernels(const char* name);

}  // namespace cllm
