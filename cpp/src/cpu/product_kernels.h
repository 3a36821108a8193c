// The kernel table has these matrix products, for both ways of storing what they multiply.
//
// T is what is multiplied: float, or Bf16 in pairs along k. Sums and results are float.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bf16.h"
#include "base/matrix_view.h"

namespace cllm {

/// Says how the operands of a product are stored.
enum class GemmForm {
  kNN,  ///< A[m, k], B[k, n]: forward (Conv1D weights are stored [in, out]); gradient of xf
  kNT,  ///< A[m, k], B[n, k]: gradient of inputs; logits
  kTN,  ///< A[k, m], B[k, n]: gradient of weights
};

/// Describes C[m, n] = A B, or C += A B when `accumulate`. A float B with a Bf16 A is rounded
/// first, a Bf16 B with a float A widened.
template <class T, class B>
struct GemmArgsOf {
  GemmForm form;
  std::int64_t m, n, k;
  MatrixView<const T> a;
  MatrixView<const B> b;
  MatrixView<float> c;
  bool accumulate;
};
using GemmArgs = GemmArgsOf<float, float>;
using Bf16GemmArgs = GemmArgsOf<Bf16, Bf16>;
using Bf16WeightGemmArgs = GemmArgsOf<Bf16, float>;
using StoredWeightGemmArgs = GemmArgsOf<float, Bf16>;

/// Describes C[m, n] = A B, or C += A B when `accumulate`; A is [m, k], B packed by pack_weight.
template <class T>
struct PackedGemmArgs {
  std::int64_t m, n, k;
  MatrixView<const T> a;
  const T* panels;  ///< where column 0 of this product is: see packed_column
  MatrixView<float> c;
  bool accumulate;
};

/// Parts of a packed B may begin at multiples of this many columns, in every instruction set.
constexpr std::int64_t kPackedColumns = 64;

/// Returns where a column of a packed B[k, n] lies, counted in elements; pairs fill up an odd k.
/// REQUIRES: `column` is a multiple of kPackedColumns.
template <class T>
constexpr std::int64_t packed_column(std::int64_t k, std::int64_t column) {
  constexpr std::int64_t kDepth = kPerFloat<T>;
  return column * ((k + kDepth - 1) / kDepth * kDepth);
}

/// Counts the elements of a packed B[k, n].
template <class T>
constexpr std::int64_t packed_size(std::int64_t k, std::int64_t n) {
  return packed_column<T>(k, (n + kPackedColumns - 1) / kPackedColumns * kPackedColumns);
}

/// Describes a part of B to be packed: all of k, or a run of it, of some columns.
template <class T>
struct PackArgs {
  GemmForm form;  ///< how B is stored: [k, n] for NN, [n, k] for NT
  std::int64_t k, n;
  MatrixView<const float> b;
  T* panels;               ///< where the part's first column begins: see packed_column
  std::int64_t depth;      ///< k of the whole B
  std::int64_t first = 0;  ///< the run's first k, an even number
};

/// Each element of C is a chain of multiply-adds over k in index order (fused, but plain in the
/// scalar ISA; of pairs for Bf16), in runs of a fixed length whose sums are added to C in order. No
/// element depends on the m and n of the product that it is part of. `scratch` is
/// KernelTable::gemm_scratch_floats floats, private to the caller, 64-byte aligned.
template <class T>
struct ProductKernels {
  void (*gemm)(const GemmArgsOf<T, T>& args, float* scratch);
  /// Multiplies by a B of floats, as weights are.
  void (*gemm_weight)(const GemmArgsOf<T, float>& args, float* scratch);
  /// Multiplies by a B of Bf16, as frozen weights may be: the bits of gemm_weight for a B of the
  /// same values.
  void (*gemm_bf16_weight)(const GemmArgsOf<T, Bf16>& args, float* scratch);
  /// Copies B in the order in which gemm_packed reads it, and fills up with zeros. Parts may be
  /// packed alone. Whole panels that begin at a multiple of 64 bytes are written past the caches.
  void (*pack_weight)(const PackArgs<T>& args);
  /// Gives the bits that gemm_weight gives for the same A and B, without packing anything.
  void (*gemm_packed)(const PackedGemmArgs<T>& args);
};

}  // namespace cllm
