// The flat ranges that training changes: parameters and both moments of AdamW.
#pragma once

#include "base/aligned_buffer.h"
#include "model/layout.h"

namespace cllm {

struct ModelState {
  explicit ModelState(const ModelConfig& model)
      : config(model),
        layout(model),
        parameters(static_cast<std::size_t>(layout.flat_size())),
        first_moment(static_cast<std::size_t>(layout.flat_size())),
        second_moment(static_cast<std::size_t>(layout.flat_size())) {}

  const ModelConfig config;
  const ParameterLayout layout;
  AlignedBuffer<float> parameters, first_moment, second_moment;  // [layout.flat_size()]
  std::int64_t updates = 0;  ///< applied: t of AdamW's bias correction
};

}  // namespace cllm
