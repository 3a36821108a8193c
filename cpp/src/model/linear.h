// These are the parts of a network that hold weights: what they multiply and where their weights
// lie. The offsets count floats in the flat range of parameters, which gradient and moments share.
#pragma once

#include <cstdint>

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
  kBias,      ///< adds the bias
  kGelu,      ///< adds the bias, applies GELU and keeps its slope for the backward pass
  kResidual,  ///< adds the bias and the residual stream, after dropout if the model has it
};

/// Describes y[R, outputs] = x[R, inputs] W + b.
struct Linear {
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
  std::int64_t weight = 0;  ///< offset of W
  std::int64_t bias = 0;    ///< offset of b[outputs]; frozen zeros if the model has none
  WeightOrder order = WeightOrder::kInOut;
  InputFrom from = InputFrom::kNorm;
  Epilogue epilogue = Epilogue::kNone;

  /// These return rows, columns and size of the stored weight.
  std::int64_t rows() const noexcept { return order == WeightOrder::kInOut ? inputs : outputs; }
  std::int64_t columns() const noexcept { return order == WeightOrder::kInOut ? outputs : inputs; }
  std::int64_t size() const noexcept { return inputs * outputs; }
  /// These name the product that makes y from x, and the one that makes the gradient of x from that
  /// of y.
  GemmForm forward_form() const noexcept {
    return order == WeightOrder::kInOut ? GemmForm::kNN : GemmForm::kNT;
  }
  GemmForm backward_form() const noexcept {
    return order == WeightOrder::kInOut ? GemmForm::kNT : GemmForm::kNN;
  }
};

/// Describes y[R, C] = (x - mean) / deviation * weight + bias, row by row.
struct Norm {
  std::int64_t weight = 0;  ///< offset of [C]
  std::int64_t bias = 0;    ///< offset of [C]; frozen zeros if the model has none
};

/// Describes a row of `width` numbers for each of `rows` tokens or positions.
struct Embedding {
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::int64_t weight = 0;  ///< offset of [rows, width]
};

}  // namespace cllm
