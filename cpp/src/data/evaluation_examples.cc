#include "data/evaluation_examples.h"

#include <algorithm>
#include <utility>

namespace cllm {

EvaluationExamples::EvaluationExamples(std::shared_ptr<const ExampleRows> rows,
                                       std::int64_t tokens) noexcept
    : rows_(std::move(rows)), size_(rows_->size()) {
  const std::int64_t sequence = rows_->sequence();
  if (tokens > 0) size_ = std::min(size_, tokens / sequence + (tokens % sequence > 0 ? 1 : 0));
  for (std::int64_t i = 0; i < size_; ++i) {
    targets_ += rows_->targets(spread(i, size_, rows_->size()));
  }
}

void EvaluationExamples::fill(std::int64_t first, std::int64_t count, const RowsToFill& to) const {
  for (std::int64_t row = first; row < first + count; ++row) {
    const RowsToFill here = to.from((row - first) * rows_->sequence());
    if (row < size_) {
      rows_->fill(spread(row, size_, rows_->size()), here);
    } else {
      rows_->pad(0, here);
    }
  }
  rows_->source().check_unchanged();
}

}  // namespace cllm
