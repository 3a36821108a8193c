// An evaluation computes the mean loss over windows of a range of tokens, by forward passes over a
// round of windows each.
#pragma once

#include <functional>
#include <vector>

#include "data/evaluation_windows.h"
#include "engine/forward_stage.h"

namespace cllm {

class EvaluateStage {
 public:
  /// Returns how many of these windows of T tokens go through together.
  static std::int64_t round_of(const EvaluationWindows& windows, std::int64_t sequence);

  /// Makes a stage for rounds of so many windows; `spare` is as in ForwardStage.
  EvaluateStage(std::int64_t round, std::int64_t sequence, ModelState& state,
                const WorkerPool& workers, SphereTree& tree, Span<float> spare = {});

  /// Returns the sum of the losses, added in window order, over the number of targets. It asks
  /// `stop` between rounds and looks at `cancel` within them; when one says so, it returns NaN.
  /// Throws DataError when the data changes meanwhile. REQUIRES: round_of(windows) is the stage's.
  double run(SphereTree& tree, const EvaluationWindows& windows, const std::function<bool()>& stop,
             const std::atomic<bool>* cancel = nullptr);

 private:
  void fill(const EvaluationWindows& windows, std::int64_t round);

  /// Holds the tokens of one round. The root prepares them while the workers compute the round
  /// before.
  struct Round {
    std::vector<std::int32_t> inputs, targets;  // [windows of a round, T]
  };

  ForwardStage stage_;
  Round rounds_[2];
};

}  // namespace cllm
