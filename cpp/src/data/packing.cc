#include "data/packing.h"

#include <algorithm>
#include <set>
#include <utility>

namespace cllm {
namespace {

/// Returns the examples that are not left out, in the order in which they are put into rows.
std::vector<std::int64_t> order_of(Span<const std::int32_t> lengths, Packing packing) {
  std::vector<std::int64_t> order;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i] > 0) order.push_back(static_cast<std::int64_t>(i));
  }
  if (packing == Packing::kNone) return order;
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return lengths[static_cast<std::size_t>(a)] > lengths[static_cast<std::size_t>(b)];
  });
  return order;
}

/// Finds the fullest row with room; of several, the first.
class Rows {
 public:
  explicit Rows(std::int64_t capacity) : capacity_(capacity) {}

  /// Returns the row into which `length` tokens go.
  std::int64_t take(std::int64_t length) {
    const auto found = room_.lower_bound({length, 0});
    const bool fits = found != room_.end();
    const auto [room, row] = fits ? *found : std::pair(capacity_, size_++);
    if (fits) room_.erase(found);
    if (room > length) room_.insert({room - length, row});
    return row;
  }
  std::int64_t size() const noexcept { return size_; }

 private:
  std::int64_t capacity_;
  std::int64_t size_ = 0;
  std::set<std::pair<std::int64_t, std::int64_t>> room_;  // tokens, row: those with any
};

}  // namespace

Packing packing_named(const std::string& name) noexcept {
  return name == "none" ? Packing::kNone : Packing::kBestFit;
}

PackedRows pack(Span<const std::int32_t> lengths, std::int64_t capacity, Packing packing) {
  const std::vector<std::int64_t> order = order_of(lengths, packing);
  std::vector<std::int64_t> row_of(order.size());
  Rows rows(capacity);
  for (std::size_t i = 0; i < order.size(); ++i) {
    // Without packing every example takes a whole row.
    row_of[i] = rows.take(packing == Packing::kNone ? capacity
                                                    : lengths[static_cast<std::size_t>(order[i])]);
  }
  PackedRows packed;
  packed.begins.assign(static_cast<std::size_t>(rows.size()) + 1, 0);
  for (const std::int64_t row : row_of) ++packed.begins[static_cast<std::size_t>(row) + 1];
  for (std::size_t row = 1; row < packed.begins.size(); ++row) {
    packed.begins[row] += packed.begins[row - 1];
  }
  packed.examples.resize(order.size());
  std::vector<std::int64_t> next(packed.begins.begin(), packed.begins.end() - 1);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto row = static_cast<std::size_t>(row_of[i]);
    packed.examples[static_cast<std::size_t>(next[row]++)] = order[i];
  }
  return packed;
}

}  // namespace cllm
