// An evaluation record is what metrics.jsonl says of the evaluations of a run.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace cllm {

struct EvaluationRecord {
  std::int64_t last_step = -1;  ///< of the last evaluation; -1: there was none
  std::int64_t best_step = -1;  ///< of the lowest loss, the first of equals
  double best_loss = std::numeric_limits<double>::infinity();

  void add(std::int64_t step, double loss) noexcept {
    last_step = step;
    if (!(loss < best_loss)) return;
    best_step = step;
    best_loss = loss;
  }

  void forget_best() noexcept {
    best_step = -1;
    best_loss = std::numeric_limits<double>::infinity();
  }
};

/// Reads the evaluations. Other lines are skipped; a missing file has none.
EvaluationRecord read_evaluations(const std::string& metrics_file);

}  // namespace cllm
