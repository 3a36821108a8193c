// A ModelRunner runs forward and backward passes of a model on arrays of any shape, without an
// optimizer.
#pragma once

#include <functional>
#include <memory>

#include "base/token_rows.h"
#include "cllm/tensor.h"
#include "data/evaluation_rows.h"
#include "engine/model_state.h"
#include "gemm/gemm.h"

namespace cllm {

/// Runs passes. It keeps the threads and buffers of the last shape of each kind, since callers
/// repeat shapes. Thread safety: one thread at a time.
class ModelRunner {
 public:
  /// Makes a runner; `state` must outlive it.
  ModelRunner(ModelState& state, std::int64_t workers);
  ~ModelRunner();

  /// Computes logits[B, T, V'] of tokens[B, T]. REQUIRES: checked tokens.
  void logits(const TokenArray& tokens, float* logits);

  /// Returns the sum of the losses over all rows, which are of `length` tokens; NaN when `stop`,
  /// asked between rounds, returned true.
  double loss_sum(const EvaluationRows& rows, std::int64_t length,
                  const std::function<bool()>& stop);

  struct Gradient {
    double loss;
    const float* values;  ///< the layout's flat range; valid until the next call
  };
  /// Computes the loss and its gradient for rows[sequences, length]. REQUIRES: checked rows, of
  /// which one target at least is counted.
  Gradient gradient(const TokenRows& rows, std::int64_t sequences, std::int64_t length);

 private:
  struct Crew;
  Crew& crew(std::unique_ptr<Crew>& last, std::int64_t sequences, std::int64_t length,
             bool training);

  ModelState& state_;
  const std::int64_t workers_;
  std::unique_ptr<Crew> forward_, training_;
};

}  // namespace cllm
