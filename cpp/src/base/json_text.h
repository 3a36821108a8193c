// What a JSON file may be before it is parsed: its size, its depth, its number of keys.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cllm {

/// A tree of values is destroyed and written by recursion, takes up to thirty times the memory of
/// its text, and finds a key by looking at all of its object's: a text within these limits costs
/// under half a second, half a GiB and some kilobytes of stack. Those that this engine and
/// `transformers` write stay far below.
constexpr std::size_t kMostJsonBytes = std::size_t{16} << 20;
constexpr int kMostJsonDepth = 64;
constexpr std::size_t kMostJsonKeys = 10'000;

/// Throws InputError, naming `where`, for a text beyond the limits. It says nothing of the grammar:
/// a parser that stops at the first mistake never gets deeper than this counts.
void check_json_text(std::string_view text, const std::string& where);

/// The text of a file within the limits; a larger file is refused before it is read.
std::string read_json_file(const std::string& path);

}  // namespace cllm
