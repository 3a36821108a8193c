// Text is UTF-8: code points are read one by one, and bytes that are no character are found.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cllm {

/// Is what stands at a place of a text: a character, bytes that are none, or the start of a
/// character whose rest is missing.
struct Utf8Step {
  enum class Kind { kCharacter, kInvalid, kCut };
  Kind kind;
  std::size_t bytes;  ///< of the character, or that one replacement character stands for
  char32_t code;      ///< of a character, else 0
};

/// Reads at `at`. Invalid bytes are grouped as the Unicode standard recommends and as Rust's and
/// Python's decoders do: the longest start of a character is one group. REQUIRES: at < text.size().
Utf8Step utf8_step(std::string_view text, std::size_t at) noexcept;

/// Returns the first byte that begins no whole character; npos when there is none.
std::size_t first_invalid_utf8(std::string_view text) noexcept;

/// Encodes a code point. REQUIRES: code < 0x800.
std::string utf8(char32_t code);

/// Makes text of bytes that come in pieces. A character comes out when it is whole; bytes that are
/// none come out as U+FFFD. All pieces together are what decoding all bytes at once gives.
class Utf8Stream {
 public:
  /// Takes more bytes and returns the text that has become certain.
  std::string add(std::string_view bytes);
  /// Returns what was waiting for its rest when the text ends: U+FFFD, or nothing.
  std::string finish();

 private:
  std::string waiting_;  // the start of one character
};

}  // namespace cllm
