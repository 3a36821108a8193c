// An evaluation record is what metrics.jsonl says of the evaluations of a run.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace cllm {

/// Losses of different tokens cannot be compared: an evaluation on another number of tokens than
/// the one before starts a new search for the best.
struct EvaluationRecord {
  std::int64_t last_step = -1;  ///< of the last evaluation; -1: there was none
  std::int64_t best_step = -1;  ///< of the lowest loss, the first of equals
  double best_loss = std::numeric_limits<double>::infinity();
  std::int64_t tokens = -1;       ///< that the last evaluation was made on
  std::int64_t lowest_step = -1;  ///< as best_step, whatever was forgotten
  double lowest_loss = std::numeric_limits<double>::infinity();
  std::int64_t waited = 0;  ///< evaluations since that of lowest_step

  void add(std::int64_t step, double loss, std::int64_t on_tokens) noexcept {
    if (on_tokens != tokens) best_loss = lowest_loss = std::numeric_limits<double>::infinity();
    last_step = step;
    tokens = on_tokens;
    ++waited;
    if (loss < lowest_loss) {
      lowest_step = step;
      lowest_loss = loss;
      waited = 0;
    }
    if (!(loss < best_loss)) return;
    best_step = step;
    best_loss = loss;
  }

  void forget_best() noexcept {
    best_step = -1;
    best_loss = std::numeric_limits<double>::infinity();
  }
};

/// Reads the evaluations. Other lines are skipped; a missing file has none. One that does not say
/// on how many tokens it was made, of an older version, was made on `tokens_total`.
EvaluationRecord read_evaluations(const std::string& metrics_file, std::int64_t tokens_total);

}  // namespace cllm
