// Bytes become whole characters, however they are cut.
#include "text/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "text/byte_letters.h"
#include "text/composed_text.h"

namespace cllm {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

/// What Python's bytes.decode(errors="replace") gives.
const std::vector<std::pair<std::string, std::string>> kTexts = {
    {"", ""},
    {"a\x7f", "a\x7f"},
    {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
    {"\xFF", "\xEF\xBF\xBD"},
    {"\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},                  // too long for NUL
    {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},  // a surrogate
    {"\xE2\x82x", "\xEF\xBF\xBDx"},                            // its start is one group
    {"\xF0\x9F\x98", "\xEF\xBF\xBD"},                          // cut at the end
    {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},  // past U+10FFFF
    {"\xE2\xE2\x82\xAC", "\xEF\xBF\xBD\xE2\x82\xAC"},
};

TEST(Utf8, BytesInPiecesGiveTheTextOfAll) {
  for (const auto& [bytes, wanted] : kTexts) {
    for (std::size_t size = 1; size <= 4; ++size) {
      Utf8Stream stream;
      std::string text;
      for (std::size_t at = 0; at < bytes.size(); at += size) {
        const std::string piece = stream.add(std::string_view(bytes).substr(at, size));
        EXPECT_EQ(first_invalid_utf8(piece), kNone) << "a piece is whole characters";
        text += piece;
      }
      EXPECT_EQ(text + stream.finish(), wanted);
      EXPECT_EQ(stream.finish(), "");
    }
  }
}

TEST(Utf8, ACharacterComesWithItsLastByte) {
  Utf8Stream stream;
  EXPECT_EQ(stream.add("x\xE2"), "x");
  EXPECT_EQ(stream.add("\x82"), "");
  EXPECT_EQ(stream.add("\xAC"), "\xE2\x82\xAC");
}

TEST(Utf8, FindsWhatIsInvalid) {
  EXPECT_EQ(first_invalid_utf8("plain \xC3\xA9"), kNone);
  EXPECT_EQ(first_invalid_utf8("ab\xE2\x82"), 2u);
  EXPECT_EQ(first_invalid_utf8("ab\xE2\x82(\xFF"), 2u);
}

TEST(ByteLetters, SpellEveryByte) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  EXPECT_EQ(spelled_bytes(spell_bytes(bytes)), bytes);
  EXPECT_EQ(spell_bytes(" \n"), "\xC4\xA0\xC4\x8A");  // U+0120, U+010A
  EXPECT_EQ(spelled_bytes("a b"), "a b") << "a space is no letter, so the token is itself";
}

TEST(ComposedText, FindsWhatNfcMayChange) {
  for (const char* const same : {"", "plain", "\xC3\xA9", "\xE6\xBC\xA2", "\xED\x95\x9C",
                                 "x\xCC\x96\xCC\x95"}) {  // marks in their order
    EXPECT_EQ(first_not_composed(same), kNone) << same;
  }
  EXPECT_EQ(first_not_composed("ae\xCC\x81"), 2u) << "it would be one character";
  EXPECT_EQ(first_not_composed("\xE2\x84\xAB"), 0u) << "the Angstrom sign is a letter";
  EXPECT_EQ(first_not_composed("x\xCC\x95\xCC\x96"), 3u) << "marks out of order";
  EXPECT_EQ(first_not_composed("\xE1\x84\x92\xE1\x85\xA1"), 3u) << "a syllable in letters";
}

}  // namespace
}  // namespace cllm
