#include "data/example_rows.h"

#include <algorithm>
#include <utility>

#include "base/permutation.h"

namespace cllm {

ExampleRows::ExampleRows(std::shared_ptr<const Examples> examples, std::int64_t sequence,
                         Packing packing)
    : examples_(std::move(examples)), sequence_(sequence) {
  const auto size = static_cast<std::size_t>(examples_->size());
  std::vector<std::int32_t> lengths(size);
  std::vector<std::int64_t> trained(size);
  for (std::size_t i = 0; i < size; ++i) {
    const auto example = static_cast<std::int64_t>(i);
    const std::int64_t whole = examples_->length(example), length = std::min(whole, sequence);
    trained[i] = examples_->trained(example, length);
    if (trained[i] == 0) {
      ++counts_.left_out;
      continue;
    }
    ++counts_.examples;
    counts_.tokens += length;
    counts_.targets += trained[i];
    counts_.cut += whole > length ? 1 : 0;
    counts_.cut_tokens += whole - length;
    lengths[i] = static_cast<std::int32_t>(length);
  }
  packed_ = pack({lengths.data(), lengths.size()}, sequence, packing);
  for (std::int64_t row = 0; row < this->size(); ++row) {
    targets_.push_back(0);
    for (const std::int64_t example : packed_[row]) {
      targets_.back() += trained[static_cast<std::size_t>(example)];
    }
  }
}

void ExampleRows::fill(std::int64_t row, const RowsToFill& to) const {
  std::int64_t at = 0;
  for (const std::int64_t example : packed_[row]) {
    const std::int64_t length = std::min(examples_->length(example), sequence_);
    const RowsToFill here = to.from(at);
    source().copy(examples_->begin(example), length, here.inputs);
    source().copy_marks(examples_->begin(example), length, here.targets);
    for (std::int64_t t = 0; t + 1 < length; ++t) {  // mark t + 1 is read before it is replaced
      const bool counts = (here.targets[t + 1] & Mark::kTrained) != 0;
      here.targets[t] = counts ? here.inputs[t + 1] : kNotCounted;
    }
    here.targets[length - 1] = kNotCounted;
    std::fill_n(here.first_keys, length, static_cast<std::int32_t>(at));
    at += length;
  }
  pad(at, to);
}

void ExampleRows::pad(std::int64_t begin, const RowsToFill& to) const noexcept {
  std::fill(to.inputs + begin, to.inputs + sequence_, 0);
  std::fill(to.targets + begin, to.targets + sequence_, kNotCounted);
  std::fill(to.first_keys + begin, to.first_keys + sequence_, static_cast<std::int32_t>(begin));
}

ExampleSampler::ExampleSampler(std::shared_ptr<const ExampleRows> rows, std::int64_t batch,
                               std::uint64_t seed) noexcept
    : rows_(std::move(rows)), batch_(batch), seed_(seed) {}

std::int64_t ExampleSampler::at(std::int64_t step, std::int64_t row) const noexcept {
  const auto size = static_cast<std::uint64_t>(rows_->size());
  const auto number = static_cast<std::uint64_t>(step * batch_ + row);
  const Permutation order(size, seed_, RandomStream::kWindowOrder, number / size);
  return static_cast<std::int64_t>(order[number % size]);
}

void ExampleSampler::fill(std::int64_t step, const RowsToFill& to) const {
  for (std::int64_t row = 0; row < batch_; ++row) {
    rows_->fill(at(step, row), to.from(row * rows_->sequence()));
  }
  rows_->source().check_unchanged();
}

}  // namespace cllm
