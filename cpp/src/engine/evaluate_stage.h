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
  /// Makes a stage; `spare` is as in ForwardStage.
  EvaluateStage(EvaluationWindows windows, std::int64_t sequence, ModelState& state,
                const WorkerPool& workers, SphereTree& tree, Span<float> spare = {});

  /// Returns the sum of the losses, added in window order, over the number of targets. It asks
  /// `stop` between rounds and looks at `cancel` within them; when one says so, it returns NaN.
  /// Throws DataError when the data changes meanwhile.
  double run(SphereTree& tree, const std::function<bool()>& stop,
             const std::atomic<bool>* cancel = nullptr);

 private:
  void fill(std::int64_t round);

  /// Holds the tokens of one round. The root prepares them while the workers compute the round
  /// before.
  struct Round {
    std::vector<std::int32_t> inputs, targets;  // [windows of a round, T]
  };

  const EvaluationWindows windows_;
  ForwardStage stage_;
  Round rounds_[2];
  const std::int64_t rounds_total_;
};

}  // namespace cllm
