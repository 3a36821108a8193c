// These functions say where models drop, and give the random numbers of each place: a function of
// seed, step, sequence, layer, row and column.
#pragma once

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "cpu/dropout.h"

namespace cllm {

/// Dropout applies to the sum of both embeddings, to the weights of a head, to what attention and
/// the hidden layer add to the residual stream, and to what adapters read. The values decide what a
/// seed draws: never renumber them. Adapters have that of the embeddings, and heads from 1 on, one
/// for each linear map.
enum class DropoutSite : std::uint32_t {
  kEmbedding,
  kAttention,
  kMiddle,
  kOutput,
  kAdapter = kEmbedding
};

/// Holds what the dropout of a step is drawn from.
struct DropoutSource {
  std::uint64_t seed;
  std::int64_t step;
  const std::int64_t* sequences;  ///< [B] each sequence's index in the step batch as it was drawn
};

/// Returns a rate in steps of 1 / 65536, in the form that a kernel takes.
inline std::uint32_t dropout_threshold(double rate) noexcept {
  return static_cast<std::uint32_t>(std::min(65535L, std::lround(rate * 65536)));
}

/// Returns the dropout of one matrix of sequence `index` of the step batch. It scales by the rate
/// that is drawn, so that the mean stays the same.
inline Dropout dropout_of(const DropoutSource& source, std::int64_t index, double rate,
                          DropoutSite site, std::int64_t layer, std::int64_t head = 0) noexcept {
  const RandomBlock block = random_block(source.seed, RandomStream::kDropout,
                                         static_cast<std::uint32_t>(source.sequences[index]),
                                         static_cast<std::uint64_t>(source.step));
  Dropout dropout;
  dropout.key = random_bits64(block, 0);
  dropout.place = static_cast<std::uint32_t>(4 * layer) + static_cast<std::uint32_t>(site);
  dropout.head = static_cast<std::uint32_t>(head);
  dropout.threshold = dropout_threshold(rate);
  dropout.scale = static_cast<float>(65536.0 / (65536.0 - dropout.threshold));
  return dropout;
}

}  // namespace cllm
