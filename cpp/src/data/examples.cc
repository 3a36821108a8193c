#include "data/examples.h"

#include <algorithm>

#include "base/refuse.h"

namespace cllm {
namespace {

constexpr std::int64_t kPiece = 1 << 16;  // marks looked at together

}  // namespace

Examples::Examples(const TokenSource& source) : source_(&source) {
  std::vector<std::int32_t> marks(static_cast<std::size_t>(std::min(kPiece, source.size())));
  for (std::int64_t at = 0; at < source.size(); at += kPiece) {
    const std::int64_t count = std::min(kPiece, source.size() - at);
    source.copy_marks(at, count, marks.data());
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int32_t mark = marks[static_cast<std::size_t>(i)];
      if ((mark & Mark::kBegins) != 0) {
        begins_.push_back(at + i);
        trained_.push_back(0);
      } else if (begins_.empty()) {
        refuse("the marks of the examples do not begin with an example",
               "mark " + std::to_string(mark), std::to_string(Mark::kBegins) + " or more",
               source.path(), "prepare the data set again");
      } else if ((mark & Mark::kTrained) != 0) {
        ++trained_.back();
      }
    }
  }
  begins_.push_back(source.size());
  for (std::int64_t i = 0; i < size(); ++i) longest_ = std::max(longest_, length(i));
}

std::int64_t Examples::trained(std::int64_t i, std::int64_t length) const {
  if (length == this->length(i)) return trained_[static_cast<std::size_t>(i)];
  std::vector<std::int32_t> marks(static_cast<std::size_t>(length));
  source_->copy_marks(begin(i), length, marks.data());
  return std::count_if(marks.begin() + 1, marks.end(),
                       [](std::int32_t mark) { return (mark & Mark::kTrained) != 0; });
}

}  // namespace cllm
