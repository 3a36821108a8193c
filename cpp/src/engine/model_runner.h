// Forward and backward passes of a model on arrays of any shape, without an optimizer.
#pragma once

#include <memory>

#include "cllm/tensor.h"
#include "engine/model_state.h"
#include "gemm/gemm.h"

namespace cllm {

/// Keeps the threads and buffers of the last shape of each kind, since callers repeat shapes.
/// Thread safety: one thread at a time.
class ModelRunner {
 public:
  /// `state` outlives the runner.
  ModelRunner(ModelState& state, std::int64_t workers);
  ~ModelRunner();

  /// logits[B, T, V'] of tokens[B, T]. REQUIRES: checked tokens.
  void logits(const TokenArray& tokens, float* logits);

  struct Gradient {
    double loss;
    const float* values;  ///< the layout's flat range; valid until the next call
  };
  /// REQUIRES: checked tokens of one shape.
  Gradient gradient(const TokenArray& inputs, const TokenArray& targets);

 private:
  struct Crew;
  Crew& crew(std::unique_ptr<Crew>& last, std::int64_t sequences, std::int64_t length,
             bool training);

  ModelState& state_;
  const std::int64_t workers_;
  std::unique_ptr<Crew> forward_, training_;
};

}  // namespace cllm
