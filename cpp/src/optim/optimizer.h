// What an optimizer is to the engine: ranges of state beside the trainables, and an update that is
// made block by block.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/kernel_table.h"
#include "model/tensor_table.h"

namespace cllm {

/// One number for each trainable that is kept from update to update, laid out as these are.
struct StateRange {
  const char* name;   ///< in checkpoints, as torch names it: "exp_avg"
  const char* title;  ///< in messages: "first moment"
  bool may_be_negative;
};

/// Thread safety: begin() is the root's; run() may be called by several workers between two calls
/// of it, each for other blocks.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  virtual const std::vector<StateRange>& ranges() const noexcept = 0;

  /// Says whether updates change the tensor; the gradient of one that they leave is not counted.
  virtual bool trains(const TensorEntry& tensor) const noexcept = 0;

  /// Prepares an update. `update` counts applied updates from 1; `gradient_scale` multiplies every
  /// gradient (clip_scale).
  virtual void begin(std::int64_t update, double learning_rate, double gradient_scale) = 0;
  /// Updates one block from its gradient. All ranges are flat ranges of the trainables; `state` has
  /// one for each of ranges(). Tensors that it does not train stay as they are.
  virtual void run(const KernelTable& kernels, const TensorTable& trainables, const Block& block,
                   const float* gradient, float* values, float* const* state) const = 0;
};

/// The factor that brings a gradient of this norm down to `clip`; 1 when clip is 0 or not reached.
double clip_scale(double norm, double clip);

}  // namespace cllm
