#include "text/byte_letters.h"

#include <array>

#include "text/utf8.h"

namespace cllm {
namespace {

constexpr int kBytes = 256;
constexpr char32_t kFirstFree = 0x100;

bool is_visible(int byte) noexcept {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) ||
         (byte >= 0xAE && byte <= 0xFF);
}

/// Holds each byte's letter in UTF-8, and each letter's byte.
struct Letters {
  std::array<std::string, kBytes> of_byte;
  std::array<int, 2 * kBytes> byte_of;  // by code point; -1: no byte's letter

  Letters() {
    byte_of.fill(-1);
    for (int byte = 0; byte < kBytes; ++byte) {
      const char32_t letter = byte_letter(byte);
      of_byte[static_cast<std::size_t>(byte)] = utf8(letter);
      byte_of[letter] = byte;
    }
  }
};

const Letters& letters() {
  static const Letters all;
  return all;
}

}  // namespace

char32_t byte_letter(int byte) noexcept {
  if (is_visible(byte)) return static_cast<char32_t>(byte);
  char32_t code = kFirstFree;
  for (int b = 0; b < byte; ++b) code += is_visible(b) ? 0 : 1;
  return code;
}

std::string spell_bytes(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() + bytes.size() / 2);
  for (const char byte : bytes) text += letters().of_byte[static_cast<unsigned char>(byte)];
  return text;
}

std::string spelled_bytes(std::string_view token) {
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    const Utf8Step step = utf8_step(token, at);
    const bool may_be = step.kind == Utf8Step::Kind::kCharacter && step.code < 2 * kBytes;
    const int byte = may_be ? letters().byte_of[step.code] : -1;
    if (byte < 0) return std::string(token);
    bytes += static_cast<char>(byte);
    at += step.bytes;
  }
  return bytes;
}

}  // namespace cllm
