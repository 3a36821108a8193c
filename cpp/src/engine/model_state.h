// The flat ranges that training changes: parameters and both moments of AdamW.
#pragma once

#include <memory>

#include "base/aligned_buffer.h"
#include "model/layout.h"
#include "model/packed_weights.h"
#include "model/pass.h"
#include "model/precision.h"

namespace cllm {

struct ModelState {
  /// A model that only runs has no moments.
  explicit ModelState(const ModelConfig& model, bool trains = true,
                      Precision products = Precision::kFp32)
      : config(model),
        precision(products),
        layout(model),
        parameters(static_cast<std::size_t>(layout.flat_size())),
        first_moment(trains ? parameters.size() : 0),
        second_moment(trains ? parameters.size() : 0) {}

  WeightLayout weights() const noexcept {
    return packed ? WeightLayout::kPacked : WeightLayout::kPlain;
  }

  const ModelConfig config;
  const Precision precision;  ///< of the products of its passes
  const ParameterLayout layout;
  AlignedBuffer<float> parameters, first_moment, second_moment;  // [layout.flat_size()]
  std::int64_t updates = 0;               ///< applied: t of AdamW's bias correction
  std::unique_ptr<PackedWeights> packed;  ///< each stage fills it first; null: tiles pack their own
};

}  // namespace cllm
