// Drawing the next token from its logits: temperature, top-k, top-p, a seed.
#pragma once

#include <cstdint>

#include "base/span.h"
#include "cllm/sampling.h"

namespace cllm {

/// The token drawn for `position` (tokens generated so far). A pure function: the random number
/// comes from (seed, position) alone. Ties in logits go to the smaller token.
/// REQUIRES: check(options) passes and logits[V'] is not empty. Throws Error on a NaN.
std::int32_t sample_token(Span<const float> logits, const SamplingOptions& options,
                          std::uint64_t position);

}  // namespace cllm
