#include "engine/evaluate_stage.h"

#include <algorithm>
#include <exception>
#include <limits>

namespace cllm {

EvaluateStage::EvaluateStage(EvaluationWindows windows, std::int64_t sequence, ModelState& state,
                             const WorkerPool& workers, SphereTree& tree, Span<float> spare)
    : windows_(windows),
      stage_(std::min(windows.size(), ForwardStage::most_sequences(sequence)), sequence, state,
             workers, tree, spare),
      rounds_total_((windows.size() + stage_.sequences() - 1) / stage_.sequences()) {
  for (Round& round : rounds_) {
    round.inputs.resize(static_cast<std::size_t>(stage_.sequences() * sequence));
    round.targets.resize(round.inputs.size());
  }
}

double EvaluateStage::run(SphereTree& tree, const std::function<bool()>& stop,
                          const std::atomic<bool>* cancel) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  fill(0);
  for (std::int64_t round = 0; round < rounds_total_; ++round) {
    if (stop && stop()) return kNone;
    const Round& tokens = rounds_[round % 2];
    ForwardInput input{tokens.inputs.data(), tokens.targets.data()};
    std::exception_ptr failed;  // an exception inside a run would end the tree
    input.meanwhile = [this, round, &failed] {
      try {
        if (round + 1 < rounds_total_) fill(round + 1);
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
  return sum / static_cast<double>(windows_.targets());
}

void EvaluateStage::fill(std::int64_t round) {
  Round& to = rounds_[round % 2];
  windows_.fill(round * stage_.sequences(), stage_.sequences(), to.inputs.data(),
                to.targets.data());
}

}  // namespace cllm
