// How long a sequence may be: as asked, or as the data allows.
#pragma once

#include <cstdint>
#include <string>

namespace cllm {

/// What --seq is when nobody asks, for data that is long enough.
constexpr std::int64_t kDefaultSequence = 64;

/// T for `tokens` tokens of training data in the file `path`. A sequence and its targets take T + 1
/// tokens. `requested` 0: kDefaultSequence, cut to short data, so that two tokens train. Throws
/// InputError when the requested one is too long, naming the largest that works, and when there
/// are under two tokens.
std::int64_t fit_sequence(std::int64_t requested, std::int64_t tokens, const std::string& path);

}  // namespace cllm
