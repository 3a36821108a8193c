// Causal attention of one head for the kernel table: forward, backward, and the scratch they need.
#pragma once

#include <algorithm>
#include <cstddef>

#include "cpu/kernels/attention_backward.h"
#include "cpu/kernels/attention_forward.h"

namespace cllm {
namespace {

std::size_t attention_scratch_floats(std::int64_t length, std::int64_t head_width) {
  return static_cast<std::size_t>(std::max(attention_forward_floats(length, head_width),
                                           attention_backward_floats(length, head_width)));
}

}  // namespace
}  // namespace cllm
