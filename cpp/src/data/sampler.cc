#include "data/sampler.h"

#include <cstring>

#include "base/rng.h"
#include "data/sequence_length.h"

namespace cllm {

Sampler::Sampler(TokenRange range, std::int64_t rows, std::int64_t sequence, std::uint64_t seed)
    : range_(range),
      rows_(rows),
      sequence_(fit_sequence(sequence, range.size(), range.source->path())),
      seed_(seed) {}

std::int64_t Sampler::offset(std::int64_t step, std::int64_t row) const noexcept {
  const RandomBlock block =
      random_block(seed_, RandomStream::kSampler, static_cast<std::uint32_t>(row),
                   static_cast<std::uint64_t>(step));
  const auto starts = static_cast<std::uint64_t>(range_.size() - sequence_);
  return static_cast<std::int64_t>(uniform_below(random_bits64(block, 0), starts));
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
