// Byte-level BPE spells each byte as a letter, so that tokens are printable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cllm {

/// Returns the letter of a byte: the byte itself where Latin-1 has a visible character, else the
/// next free code point from U+0100 on. REQUIRES: 0 <= byte < 256.
char32_t byte_letter(int byte) noexcept;

/// Returns the bytes of a text, spelled in letters.
std::string spell_bytes(std::string_view bytes);

/// Returns the bytes that a token spells. A token with a character that is no byte's letter, such
/// as an added token with a space, spells itself.
std::string spelled_bytes(std::string_view token);

}  // namespace cllm
