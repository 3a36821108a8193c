// A sequence is as long as the user asks, or as the data allows.
#pragma once

#include <cstdint>
#include <string>

namespace cllm {

/// This is --seq when the user does not give it and the data is long enough.
constexpr std::int64_t kDefaultSequence = 64;
/// The same for examples, where the longest one is as long.
constexpr std::int64_t kDefaultExampleSequence = 1024;

/// Returns T for `tokens` tokens of training data in the file `path`. A sequence and its targets
/// take T + 1 tokens. `requested` 0 means kDefaultSequence, or less for short data, so that two
/// tokens train. Throws InputError when the requested T is too long, naming the largest that works,
/// and when there are under two tokens.
std::int64_t fit_sequence(std::int64_t requested, std::int64_t tokens, const std::string& path);

}  // namespace cllm
