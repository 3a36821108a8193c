// An evaluation computes the mean loss over rows of tokens, by forward passes over a round of rows
// each.
#pragma once

#include <functional>
#include <vector>

#include "data/evaluation_rows.h"
#include "engine/forward_stage.h"

namespace cllm {

class EvaluateStage {
 public:
  /// Returns how many of these rows of T tokens go through together.
  static std::int64_t round_of(const EvaluationRows& rows, std::int64_t sequence);

  /// Makes a stage for rounds of so many rows; `spare` is as in ForwardStage.
  EvaluateStage(std::int64_t round, std::int64_t sequence, ModelState& state,
                const WorkerPool& workers, SphereTree& tree, Span<float> spare = {});

  /// Returns the sum of the losses, added in their order, over the number of targets. It asks
  /// `stop` between rounds and looks at `cancel` within them; when one says so, it returns NaN.
  /// Throws DataError when the data changes meanwhile. REQUIRES: round_of(rows) is the stage's.
  double run(SphereTree& tree, const EvaluationRows& rows, const std::function<bool()>& stop,
             const std::atomic<bool>* cancel = nullptr);

 private:
  void fill(const EvaluationRows& rows, std::int64_t round);

  /// Holds the tokens of one round. The root prepares them while the workers compute the round
  /// before.
  struct Round {
    std::vector<std::int32_t> inputs, targets;  // [rows of a round, T]
    std::vector<std::int32_t> first_keys;       // the same; empty where no row asks for them
  };

  ForwardStage stage_;
  Round rounds_[2];
};

}  // namespace cllm
