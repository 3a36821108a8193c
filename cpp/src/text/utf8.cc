#include "text/utf8.h"

namespace cllm {
namespace {

using Kind = Utf8Step::Kind;

constexpr const char* kReplacement = "\xEF\xBF\xBD";

/// Says how a character goes on after its first byte.
struct Lead {
  std::size_t bytes;         // of the character; 0: it begins none
  unsigned char low, high;   // the second byte's bounds
  unsigned char first_bits;  // of the first byte, those that belong to the code point
};

Lead lead_of(unsigned char byte) noexcept {
  if (byte < 0x80) return {1, 0, 0, 0x7F};
  if (byte < 0xC2) return {0, 0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF, 0x1F};
  if (byte == 0xE0) return {3, 0xA0, 0xBF, 0x0F};
  if (byte == 0xED) return {3, 0x80, 0x9F, 0x0F};  // above are surrogates
  if (byte < 0xF0) return {3, 0x80, 0xBF, 0x0F};
  if (byte == 0xF0) return {4, 0x90, 0xBF, 0x07};
  if (byte < 0xF4) return {4, 0x80, 0xBF, 0x07};
  if (byte == 0xF4) return {4, 0x80, 0x8F, 0x07};
  return {0, 0, 0, 0};
}

}  // namespace

Utf8Step utf8_step(std::string_view text, std::size_t at) noexcept {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const Lead lead = lead_of(byte(at));
  if (lead.bytes == 0) return {Kind::kInvalid, 1, 0};
  char32_t code = byte(at) & lead.first_bits;
  for (std::size_t i = 1; i < lead.bytes; ++i) {
    if (at + i == text.size()) return {Kind::kCut, i, 0};
    const unsigned char next = byte(at + i);
    const bool fits = i == 1 ? next >= lead.low && next <= lead.high : (next & 0xC0) == 0x80;
    if (!fits) return {Kind::kInvalid, i, 0};
    code = code << 6 | (next & 0x3FU);
  }
  return {Kind::kCharacter, lead.bytes, code};
}

std::size_t first_invalid_utf8(std::string_view text) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text, at);
    if (step.kind != Kind::kCharacter) return at;
    at += step.bytes;
  }
  return std::string_view::npos;
}

std::string utf8(char32_t code) {
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
}

std::string Utf8Stream::add(std::string_view bytes) {
  waiting_ += bytes;
  std::string text;
  std::size_t at = 0;
  while (at < waiting_.size()) {
    const Utf8Step step = utf8_step(waiting_, at);
    if (step.kind == Kind::kCut) break;
    if (step.kind == Kind::kCharacter) {
      text.append(waiting_, at, step.bytes);
    } else {
      text += kReplacement;
    }
    at += step.bytes;
  }
  waiting_.erase(0, at);
  return text;
}

std::string Utf8Stream::finish() {
  const bool is_cut = !waiting_.empty();
  waiting_.clear();
  return is_cut ? kReplacement : "";
}

}  // namespace cllm
