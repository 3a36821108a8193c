#include "data/sampler.h"

#include <algorithm>
#include <cstring>

#include "base/permutation.h"
#include "base/rng.h"
#include "data/sequence_length.h"

namespace cllm {
namespace {

/// Counts the windows of an epoch.
std::int64_t windows_of(std::int64_t tokens, std::int64_t sequence) noexcept {
  return std::max<std::int64_t>(1, (tokens - 1) / sequence - 1);
}

}  // namespace

Shuffle shuffle_named(const std::string& name) noexcept {
  return name == "offsets" ? Shuffle::kOffsets : Shuffle::kWindows;
}

std::int64_t epoch_tokens(std::int64_t tokens, std::int64_t sequence, Shuffle shuffle) noexcept {
  return shuffle == Shuffle::kOffsets ? tokens : windows_of(tokens, sequence) * sequence;
}

Sampler::Sampler(TokenRange range, std::int64_t rows, std::int64_t sequence, std::uint64_t seed,
                 Shuffle shuffle)
    : range_(range),
      rows_(rows),
      sequence_(fit_sequence(sequence, range.size(), range.source->path())),
      seed_(seed),
      shuffle_(shuffle),
      windows_(static_cast<std::uint64_t>(windows_of(range.size(), sequence_))) {}

std::int64_t Sampler::offset(std::int64_t step, std::int64_t row) const noexcept {
  if (shuffle_ == Shuffle::kWindows) {
    return static_cast<std::int64_t>(window_start(static_cast<std::uint64_t>(step * rows_ + row)));
  }
  const RandomBlock block =
      random_block(seed_, RandomStream::kSampler, static_cast<std::uint32_t>(row),
                   static_cast<std::uint64_t>(step));
  const auto starts = static_cast<std::uint64_t>(range_.size() - sequence_);
  return static_cast<std::int64_t>(uniform_below(random_bits64(block, 0), starts));
}

std::uint64_t Sampler::window_start(std::uint64_t number) const noexcept {
  const std::uint64_t epoch = number / windows_, index = number % windows_;
  const auto length = static_cast<std::uint64_t>(sequence_);
  const std::uint64_t free = static_cast<std::uint64_t>(range_.size()) - windows_ * length;
  const RandomBlock block = random_block(seed_, RandomStream::kWindowPhase, 0, epoch);
  const std::uint64_t phase = uniform_below(random_bits64(block, 0), free);
  const Permutation order(windows_, seed_, RandomStream::kWindowOrder, epoch);
  return phase + order[index] * length;
}

void Sampler::fill(std::int64_t step, std::int32_t* inputs, std::int32_t* targets) const {
  const auto shared = static_cast<std::size_t>(sequence_ - 1) * sizeof(std::int32_t);
  for (std::int64_t row = 0; row < rows_; ++row) {
    std::int32_t* const in = inputs + row * sequence_;
    std::int32_t* const out = targets + row * sequence_;
    range_.copy(offset(step, row), sequence_, in);
    std::memcpy(out, in + 1, shared);
    range_.copy(offset(step, row) + sequence_, 1, out + sequence_ - 1);
  }
  range_.source->check_unchanged();
}

}  // namespace cllm
