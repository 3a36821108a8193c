// A JSON file is limited before it is parsed: in its size, its depth, and its number of keys.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cllm {

/// A tree of values is destroyed and written by recursion, takes up to thirty times the memory of
/// its text, and finds a key by looking at all keys of its object. A text within these limits costs
/// under half a second, half a GiB and some kilobytes of stack. The files that this engine and
/// `transformers` write stay far below.
constexpr std::size_t kMostJsonBytes = std::size_t{16} << 20;
constexpr int kMostJsonDepth = 64;
constexpr std::size_t kMostJsonKeys = 10'000;

struct JsonLimits {
  std::size_t bytes = kMostJsonBytes;
  int depth = kMostJsonDepth;
  std::size_t keys = kMostJsonKeys;
};

/// Throws InputError, naming `where`, for a text beyond the limits. It does not check the grammar:
/// a parser that stops at the first mistake never gets deeper than this counts.
void check_json_text(std::string_view text, const std::string& where,
                     const JsonLimits& limits = {});

/// Returns the text of a file within the limits; a larger file is refused before it is read.
std::string read_json_file(const std::string& path);

}  // namespace cllm
