// decode() continues a text token by token.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "cllm/sampling.h"
#include "model/inference.h"

namespace cllm {

/// Reads the prompt with `generator`, where it is not read already, draws at most `count` tokens
/// and gives each to `on_token` as it comes, until that returns false or one of `ends` was drawn.
/// Only tokens below `vocabulary` and options.known are drawn: a vocabulary that was rounded up has
/// entries that are no tokens. REQUIRES: check(options) passes, 1 <= count, 1 <= vocabulary <= V',
/// and the generator has room. Throws the errors of Generator::prefill.
void decode(Generator& generator, const std::vector<std::int32_t>& prompt, std::int64_t count,
            const SamplingOptions& options, std::int64_t vocabulary,
            const std::vector<std::int32_t>& ends,
            const std::function<bool(std::int32_t)>& on_token);

/// Returns the tokens that decode() reads, for which a generator needs room.
std::int64_t tokens_read(const std::vector<std::int32_t>& prompt, std::int64_t count,
                         std::int64_t context) noexcept;

}  // namespace cllm
