// These are the parts of a network that hold weights: what they multiply and where their weights
// lie. Offsets count floats in the flat range of the weights, those of adapters in that of the
// trainables.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/product_kernels.h"

namespace cllm {

/// Says which index of a stored weight runs fastest.
enum class WeightOrder : std::uint8_t {
  kInOut,  ///< W[inputs, outputs], as GPT-2's Conv1D stores it
  kOutIn,  ///< W[outputs, inputs], like an embedding that serves as the head
};

/// Says what makes the input of a linear map; the backward pass sends the input's gradient there.
enum class InputFrom : std::uint8_t { kNorm, kAttention, kActivation };

/// Says what a linear map's tile does with its result while that is in the cache.
enum class Epilogue : std::uint8_t {
  kNone,
  kBias,        ///< adds the bias
  kHeads,       ///< adds the bias; q and k are normalised if the model does so, and turned
  kActivation,  ///< adds the bias, applies the activation and keeps its slope for the backward pass
  kGated,       ///< the result is a gate and what it multiplies, side by side: SwiGLU
  kResidual,    ///< adds the bias and the residual stream, after dropout if the model has it
};

/// The offset of what a model does not have.
constexpr std::int64_t kAbsent = -1;

/// Is the adapter of some outputs of a linear map, which files have as a map of its own.
struct AdapterPart {
  std::int64_t first = 0, outputs = 0;  ///< columns of y
  std::int64_t b = 0;                   ///< offset of B[outputs, rank] among the trainables
};

/// Describes what is added to y[R, outputs] = x[R, inputs] W: for part p of P, s u_p B_p^T in its
/// columns, where u = x A^T. The parts' A lie one below the other, and so u[R, P rank] is one
/// product.
struct Adapter {
  std::int64_t rank = 0;  ///< of each part
  float scale = 0;        ///< s
  std::int64_t a = 0;     ///< offset of A[P rank, inputs] among the trainables
  std::vector<AdapterPart> parts;
  bool exists() const noexcept { return !parts.empty(); }
  /// Returns the columns of u.
  std::int64_t width() const noexcept { return rank * static_cast<std::int64_t>(parts.size()); }
};

/// Describes y[R, outputs] = x[R, inputs] W + b.
struct Linear {
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
  std::int64_t weight = 0;      ///< offset of W
  std::int64_t bias = kAbsent;  ///< offset of b[outputs]; frozen zeros in GPT-2 without biases
  WeightOrder order = WeightOrder::kInOut;
  InputFrom from = InputFrom::kNorm;
  Epilogue epilogue = Epilogue::kNone;
  Adapter adapter;  ///< without parts: none

  /// These return rows, columns and size of the stored weight.
  std::int64_t rows() const noexcept { return order == WeightOrder::kInOut ? inputs : outputs; }
  std::int64_t columns() const noexcept { return order == WeightOrder::kInOut ? outputs : inputs; }
  std::int64_t size() const noexcept { return inputs * outputs; }
  /// Returns how many matrices of equal size one tile multiplies by, of which W is made.
  std::int64_t parts() const noexcept { return epilogue == Epilogue::kGated ? 2 : 1; }
  /// These name the product that makes y from x, and the one that makes the gradient of x from that
  /// of y.
  GemmForm forward_form() const noexcept {
    return order == WeightOrder::kInOut ? GemmForm::kNN : GemmForm::kNT;
  }
  GemmForm backward_form() const noexcept {
    return order == WeightOrder::kInOut ? GemmForm::kNT : GemmForm::kNN;
  }
};

enum class NormKind : std::uint8_t {
  kLayer,  ///< y = (x - mean) / deviation * weight + bias
  kRms,    ///< y = x / root of the mean square * weight
};

/// Describes y[R, N] from x[R, N], row by row.
struct Norm {
  NormKind kind = NormKind::kLayer;
  std::int64_t weight = 0;      ///< offset of [N]
  std::int64_t bias = kAbsent;  ///< offset of [N]; frozen zeros in GPT-2 without biases
};

/// Describes a row of `width` numbers for each of `rows` tokens or positions.
struct Embedding {
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::int64_t weight = 0;  ///< offset of [rows, width]
};

}  // namespace cllm
