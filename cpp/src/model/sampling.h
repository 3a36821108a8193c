// sample_token() draws the next token from its logits, by temperature, top-k, top-p and a seed.
#pragma once

#include <cstdint>

#include "base/span.h"
#include "cllm/sampling.h"

namespace cllm {

/// Returns the token drawn for `position` (tokens generated so far). It is a pure function: the
/// random number comes from (seed, position) alone. Ties in logits go to the smaller token.
/// REQUIRES: check(options) passes and logits[V'] is not empty. Throws Error on a NaN.
std::int32_t sample_token(Span<const float> logits, const SamplingOptions& options,
                          std::uint64_t position);

}  // namespace cllm
