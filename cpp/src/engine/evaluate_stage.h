// The mean loss over a whole range of tokens: forward passes, a round of windows each.
#pragma once

#include <functional>
#include <vector>

#include "data/evaluation_windows.h"
#include "engine/forward_stage.h"

namespace cllm {

class EvaluateStage {
 public:
  /// `spare`: as in ForwardStage.
  EvaluateStage(EvaluationWindows windows, std::int64_t sequence, ModelState& state,
                const WorkerPool& workers, SphereTree& tree, Span<float> spare = {});

  /// Sum of the losses in window order over the number of targets. Asks `stop` between rounds and
  /// looks at `cancel` within them; returns NaN when one says so. Throws DataError when the data
  /// changes meanwhile.
  double run(SphereTree& tree, const std::function<bool()>& stop,
             const std::atomic<bool>* cancel = nullptr);

 private:
  void fill(std::int64_t round);

  /// Tokens of one round: prepared by the root while the workers are at the round before.
  struct Round {
    std::vector<std::int32_t> inputs, targets;  // [windows of a round, T]
  };

  const EvaluationWindows windows_;
  ForwardStage stage_;
  Round rounds_[2];
  const std::int64_t rounds_total_;
};

}  // namespace cllm
