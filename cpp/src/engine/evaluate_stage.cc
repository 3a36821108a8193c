#include "engine/evaluate_stage.h"

#include <algorithm>
#include <exception>
#include <limits>

namespace cllm {

std::int64_t EvaluateStage::round_of(const EvaluationRows& rows, std::int64_t sequence) {
  return std::min(rows.size(), ForwardStage::most_sequences(sequence));
}

EvaluateStage::EvaluateStage(std::int64_t round, std::int64_t sequence, ModelState& state,
                             const WorkerPool& workers, SphereTree& tree, Span<float> spare)
    : stage_(round, sequence, state, workers, tree, spare) {
  for (Round& tokens : rounds_) {
    tokens.inputs.resize(static_cast<std::size_t>(round * sequence));
    tokens.targets.resize(tokens.inputs.size());
  }
}

double EvaluateStage::run(SphereTree& tree, const EvaluationRows& rows,
                          const std::function<bool()>& stop, const std::atomic<bool>* cancel) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const std::int64_t rounds = (rows.size() + stage_.sequences() - 1) / stage_.sequences();
  double sum = 0;
  for (Round& tokens : rounds_) {
    tokens.first_keys.resize(rows.has_documents() ? tokens.inputs.size() : 0);
  }
  fill(rows, 0);
  for (std::int64_t round = 0; round < rounds; ++round) {
    if (stop && stop()) return kNone;
    const Round& tokens = rounds_[round % 2];
    ForwardInput input{{tokens.inputs.data(), tokens.targets.data(),
                        rows.has_documents() ? tokens.first_keys.data() : nullptr}};
    std::exception_ptr failed;  // an exception inside a run would end the tree
    input.meanwhile = [&] {
      try {
        if (round + 1 < rounds) fill(rows, round + 1);
      } catch (...) {
        failed = std::current_exception();
      }
    };
    input.cancel = cancel;
    const bool complete = stage_.run(tree, input);
    if (failed) std::rethrow_exception(failed);
    if (!complete) return kNone;
    for (const double loss : stage_.shard_losses()) sum += loss;
  }
  return sum / static_cast<double>(rows.targets());
}

void EvaluateStage::fill(const EvaluationRows& rows, std::int64_t round) {
  Round& to = rounds_[round % 2];
  rows.fill(
      round * stage_.sequences(), stage_.sequences(),
      {to.inputs.data(), to.targets.data(), rows.has_documents() ? to.first_keys.data() : nullptr});
}

}  // namespace cllm
