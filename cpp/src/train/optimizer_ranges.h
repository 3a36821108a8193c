// The optimizer's state goes into checkpoints range by range.
#pragma once

#include <cstddef>
#include <vector>

#include "checkpoint/checkpoint_folder.h"
#include "engine/session.h"

namespace cllm {

/// Returns the optimizer's `values`, one for each range, under the names of a checkpoint.
template <class Float>
std::vector<OptimizerRange<Float>> named_ranges(const std::vector<StateRange>& ranges,
                                                const std::vector<Float*>& values) {
  std::vector<OptimizerRange<Float>> all;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    all.push_back({ranges[i].name, ranges[i].may_be_negative, values[i]});
  }
  return all;
}

}  // namespace cllm
