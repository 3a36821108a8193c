#include "cllm/error.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace cllm {
namespace {

/// A value or place in a message has at most this length, so that text from a hostile file stays
/// readable.
constexpr std::size_t kMostBytes = 200;
/// CLLM's own words may be longer.
constexpr std::size_t kMostWords = 400;

bool continues_character(char c) noexcept { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// Writes control characters as \n or \x1b, because they would break the line or drive the
/// terminal.
std::string escaped(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are controls too: C2 80 to C2 9F in UTF-8.
    const bool wide = byte == 0xC2 && i + 1 < text.size() &&
                      static_cast<unsigned char>(text[i + 1]) >= 0x80 &&
                      static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (byte == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7F || wide) {
      const auto code = wide ? static_cast<unsigned char>(text[++i]) : byte;
      out += "\\x";
      out += kHex[code / 16];
      out += kHex[code % 16];
    } else {
      out += text[i];
    }
  }
  return out;
}

/// Returns the bytes of the character that begins the text. Others than UTF-8's are one byte each.
std::size_t character_bytes(std::string_view text) {
  std::size_t count = 1;
  if (static_cast<unsigned char>(text[0]) < 0xC0) return count;
  while (count < std::min<std::size_t>(4, text.size()) && continues_character(text[count])) ++count;
  return count;
}

/// Escapes a text and cuts the middle out of what is too long then: a path tells most at its end, a
/// value at its start. Characters and escapes stay whole.
std::string shortened(std::string_view text, std::size_t most) {
  constexpr std::string_view kGap = "...";
  constexpr std::size_t kTail = 60;
  if (text.size() <= most) {
    std::string whole = escaped(text);
    if (whole.size() <= most) return whole;
  }
  std::string_view tail = text.substr(text.size() - std::min(text.size(), kTail));
  for (int i = 0; i < 3 && continues_character(tail[0]); ++i) tail.remove_prefix(1);
  while (escaped(tail).size() > kTail) tail.remove_prefix(character_bytes(tail));
  std::string out;
  for (std::string_view rest = text;;) {
    const std::size_t count = character_bytes(rest);
    const std::string next = escaped(rest.substr(0, count));
    if (out.size() + next.size() > most - kGap.size() - kTail) break;
    out += next;
    rest.remove_prefix(count);
  }
  out += kGap;
  return out += escaped(tail);
}

}  // namespace

std::string Error::format(const ErrorParts& parts) {
  const auto part = [](const std::string& text, std::size_t most = kMostBytes) {
    return shortened(text, most);
  };
  std::string text;
  if (!parts.where.empty()) text += part(parts.where) + ": ";
  text += part(parts.what, kMostWords);
  if (!parts.seen.empty()) text += ": got " + part(parts.seen);
  if (!parts.wanted.empty())
    text += (parts.seen.empty() ? ": expected " : ", expected ") + part(parts.wanted);
  if (!parts.hint.empty()) text += " (" + part(parts.hint, kMostWords) + ")";
  return text;
}

}  // namespace cllm
