// Patterns mean what they mean to Hugging Face, or they are refused.
#include "text/pattern.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cllm/error.h"
#include "has.h"
#include "temporary_folder.h"
#include "text/pattern_syntax.h"

namespace cllm {
namespace {

using Pieces = std::vector<std::string>;

TEST(PatternSyntax, KeepsWhatMeansTheSame) {
  for (const std::string same :
       {R"('s|'t| ?\p{L}+)", R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?+\p{L}+)",
        R"('(?i:[sdmt]|ll|ve|re)|\p{N}{1,3}|(?:ab|c)*?)", R"([a-z\-\]A-]|\.\*)",
        "[\xE4\xB8\x80-\xE9\xBE\xA5]+"}) {
    EXPECT_EQ(pcre2_pattern(same, "f"), same);
  }
}

TEST(PatternSyntax, WritesOthersAgain) {
  EXPECT_EQ(pcre2_pattern("\\d", "f"), "\\p{Nd}");
  const std::string space = pcre2_pattern("\\s+(?!\\S)", "f");
  EXPECT_TRUE(has(space, "\\x{85}")) << space;
  EXPECT_FALSE(has(space, "\\s")) << space;
  EXPECT_FALSE(has(space, "180E")) << space;
}

TEST(PatternSyntax, RefusesWhatMayDiffer) {
  for (const std::string other :
       {"^a",     "a$",      "\\w+",       "\\bx",    "\\h",     "\\p{Han}", "[[:alpha:]]",
        "[a&&b]", "(?i:ss)", "(?<=a)b",    "(?<n>a)", "(*UCP)a", "a{2}+",    "a{2}?",
        "a{,2}",  "a{2",     "a**",        "[a",      "a\\",     "[\\s-a]",  "\\1",
        "]",      "}",       "(?#remark)", "\\p{L",   "[^\\S]",  "(?m:.)",   "[]a]"}) {
    const std::string said = message_of<InputError>([&] { pcre2_pattern(other, "FILE"); });
    EXPECT_TRUE(has(said, "FILE") && has(said, "`cllm generate`")) << other << ": " << said;
  }
}

Pieces split(const std::string& pattern, const std::string& text) {
  Pieces pieces;
  Pattern(pattern, "f").split(text, pieces);
  return pieces;
}

class RunPattern : public testing::Test {
 protected:
  void SetUp() override {
    if (!Pattern::can_run()) GTEST_SKIP() << "built without PCRE2";
  }
};

TEST_F(RunPattern, CutsAtMatchesAndBetween) {
  EXPECT_EQ(split("b+", "abbabc"), (Pieces{"a", "bb", "a", "b", "c"}));
  EXPECT_EQ(split("x", "abc"), (Pieces{"abc"}));
  EXPECT_EQ(split("x?", "a\xC3\xA9"), (Pieces{"a", "\xC3\xA9"})) << "empty matches cut too";
  EXPECT_EQ(split("a|", ""), Pieces{});
  EXPECT_EQ(split("\\s", "a\xE1\xA0\x8E-\xC2\x85"), (Pieces{"a\xE1\xA0\x8E-", "\xC2\x85"}));
  EXPECT_EQ(split(".", "a\r\n"), (Pieces{"a", "\r", "\n"})) << "only \\n ends a line";
}

TEST_F(RunPattern, AnEndlessOneIsAnError) {
  EXPECT_THROW(split("(?:a+)+b", std::string(60, 'a') + "xb"), Error);
}

TEST_F(RunPattern, DoesNotCompile) {
  EXPECT_TRUE(has(message_of<InputError>([] { Pattern("(a", "FILE"); }), "FILE"));
}

TEST(Pattern, SaysWhatToInstallWithoutPcre2) {
  if (Pattern::can_run()) GTEST_SKIP() << "built with PCRE2";
  EXPECT_TRUE(has(message_of<InputError>([] { Pattern("a", "FILE"); }), "libpcre2-dev"));
}

}  // namespace
}  // namespace cllm
