// Messages quote what they were given: cut to a length that people read, with every byte that a
// terminal would act on escaped.
#include "cllm/error.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "has.h"

namespace cllm {
namespace {

/// Says whether a text is made of a, b, line feeds and bytes as they are escaped, and of at most
/// one gap.
bool is_whole(std::string_view text) {
  int gaps = 0;
  while (!text.empty()) {
    std::size_t size = 0;
    if (text[0] == 'a' || text[0] == 'b') size = 1;
    if (text.substr(0, 2) == "\\n") size = 2;
    if (text.substr(0, 3) == "...") {
      size = 3;
      ++gaps;
    }
    if (text.size() >= 4 && text.substr(0, 2) == "\\x" &&
        text.find_first_not_of("0123456789abcdef", 2) >= 4) {
      size = 4;
    }
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return gaps <= 1;
}

TEST(ErrorText, LongAndUnprintableInputIsCutAndEscaped) {
  const std::string text = Error::format(
      {"what", std::string(3'000'000, 'x'), "w\x1b[2J", "dir\nline", std::string(5000, 'h')});
  EXPECT_LT(text.size(), 1000u);
  EXPECT_TRUE(has(text, "dir\\nline: what")) << text;
  EXPECT_TRUE(has(text, "w\\x1b[2J")) << text;
  EXPECT_TRUE(has(text, "xxx...xxx")) << text;
  // Characters of UTF-8 are not cut into, C1 controls are controls, bytes of no encoding pass.
  std::string wide;
  for (int i = 0; i < 200; ++i) wide += "\u20ac";
  const std::string cut = Error::format({"", wide, "", "", ""});
  EXPECT_TRUE(has(cut, "\u20ac...\u20ac")) << cut;
  // An escape counts as what it takes, and stays whole too.
  for (const std::string each : {"\x1b", "\n", "\u009b", "ab\x7f"}) {
    for (const std::size_t count : {51, 60, 199, 5000}) {
      std::string controls;
      for (std::size_t i = 0; i < count; ++i) controls += each;
      const std::string said = Error::format({"", controls, "", "", ""}).substr(6);
      EXPECT_LE(said.size(), 200u) << each.size() << " bytes " << count << " times";
      EXPECT_TRUE(is_whole(said)) << said;
    }
  }
  EXPECT_EQ(Error::format({"a\u009b\u00e9\xff", "", "", "", ""}), "a\\x9b\u00e9\xff");
  EXPECT_EQ(Error::format({"what", std::string(200, 'y'), "", "", ""}),
            "what: got " + std::string(200, 'y'));
}

}  // namespace
}  // namespace cllm
