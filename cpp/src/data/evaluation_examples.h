// An evaluation of examples predicts what a model would be trained on: answers, not questions.
#pragma once

#include <cstdint>
#include <memory>

#include "data/evaluation_rows.h"
#include "data/example_rows.h"

namespace cllm {

/// Takes all rows of packed examples, or a sample that is spread evenly over them, which are in
/// order of their longest example. Packing changes no loss, because an example sees itself alone.
class EvaluationExamples final : public EvaluationRows {
 public:
  /// Takes as few rows as have `tokens` places, padding included; all of them when that is 0.
  /// REQUIRES: there is a row; tokens >= 0.
  EvaluationExamples(std::shared_ptr<const ExampleRows> rows, std::int64_t tokens = 0) noexcept;

  std::int64_t size() const noexcept override { return size_; }
  std::int64_t targets() const noexcept override { return targets_; }
  std::int64_t targets_total() const noexcept override { return rows_->counts().targets; }
  bool has_documents() const noexcept override { return true; }
  void fill(std::int64_t first, std::int64_t count, const RowsToFill& to) const override;

 private:
  std::shared_ptr<const ExampleRows> rows_;
  std::int64_t size_;
  std::int64_t targets_ = 0;
};

}  // namespace cllm
