// AdamW's state as checkpoints take it.
#pragma once

#include <vector>

#include "checkpoint/checkpoint_folder.h"

namespace cllm {

template <class Float>
std::vector<OptimizerRange<Float>> both_moments(Float* first, Float* second) {
  return {{"exp_avg", true, first}, {"exp_avg_sq", false, second}};
}

}  // namespace cllm
