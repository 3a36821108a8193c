#include "text/pattern_syntax.h"

#include <array>
#include <cstddef>

#include "text/refuse_tokenizer.h"

namespace cllm {
namespace {

/// Lists White_Space of Unicode. PCRE2's own \s also has U+180E.
constexpr const char* kSpaces =
    "\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}"
    "\\x{205F}\\x{3000}";

/// The general categories. A script's name would mean something else to PCRE2.
constexpr std::array<std::string_view, 36> kCategories = {
    "L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N",  "Nd",
    "Nl", "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S",  "Sm",
    "Sc", "Sk", "So", "Z",  "Zs", "Zl", "Zp", "C",  "Cc", "Cf", "Co", "Cn"};

/// Groups without regard to case. Other letters fold to several characters in Oniguruma.
constexpr std::array<std::string_view, 2> kAnyCase = {"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
                                                      "(?i:[sdmt]|ll|ve|re)"};
constexpr std::array<std::string_view, 5> kGroups = {"(?:", "(?=", "(?!", "(?>", "("};

constexpr std::string_view kPunctuation = "!\"#%&'()*+,-./:;<=>?@[\\]^_`{|}~$";

bool contains(std::string_view set, char c) noexcept {
  return set.find(c) != std::string_view::npos;
}
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

class Translation {
 public:
  Translation(std::string_view pattern, const std::string& where)
      : pattern_(pattern), where_(where) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '\\') {
        escape(false);
        quantifier();
      } else if (c == '[') {
        character_class();
        quantifier();
      } else if (c == '(') {
        if (!group()) continue;
        quantifier();
      } else if (c == ')') {
        copy(1);
        quantifier();
      } else if (c == '|') {
        copy(1);
      } else if (contains("^$*+?{}]", c)) {
        refuse_rest();
      } else {
        copy_character();
        quantifier();
      }
    }
    return std::move(out_);
  }

 private:
  bool starts(std::string_view with) const noexcept {
    return pattern_.substr(at_, with.size()) == with;
  }
  char peek(std::size_t ahead = 0) const noexcept {
    return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0';
  }
  void copy(std::size_t bytes) {
    out_ += pattern_.substr(at_, bytes);
    at_ += bytes;
  }
  /// Copies a character of one or more bytes; each byte of the rest of it is no syntax.
  void copy_character() {
    copy(1);
    while (at_ < pattern_.size() && (static_cast<unsigned char>(pattern_[at_]) & 0xC0) == 0x80) {
      copy(1);
    }
  }
  [[noreturn]] void refuse_rest() const {
    constexpr std::size_t kShown = 40;
    refuse_tokenizer("a pattern with \"" + std::string(pattern_.substr(at_, kShown)) + "\"",
                     "one like GPT-2's or Qwen's", where_);
  }

  /// Copies a group's opening and returns false, or all of a group and returns true.
  bool group() {
    for (const std::string_view whole : kAnyCase) {
      if (!starts(whole)) continue;
      copy(whole.size());
      return true;
    }
    if (peek(1) == '*') refuse_rest();
    for (const std::string_view opening : kGroups) {
      if (opening == "(" && peek(1) == '?') refuse_rest();
      if (!starts(opening)) continue;
      copy(opening.size());
      return false;
    }
    refuse_rest();
  }

  /// Rewrites an escape. Returns whether it stands for one character, as a range's end must.
  bool escape(bool in_class) {
    const char c = peek(1);
    if (c == 'p' || c == 'P') {
      for (const std::string_view name : kCategories) {
        const std::string braced = "{" + std::string(name) + "}";
        if (pattern_.substr(at_ + 2, braced.size()) != braced) continue;
        copy(2 + braced.size());
        return false;
      }
      refuse_rest();
    }
    if (c == 's') {
      out_ += in_class ? kSpaces : "[" + std::string(kSpaces) + "]";
    } else if (c == 'S' && !in_class) {
      out_ += "[^" + std::string(kSpaces) + "]";
    } else if (c == 'd' || c == 'D') {
      out_ += c == 'd' ? "\\p{Nd}" : "\\P{Nd}";
    } else if (contains("rnt", c) || contains(kPunctuation, c)) {
      copy(2);
      return true;
    } else {
      refuse_rest();
    }
    at_ += 2;
    return false;
  }

  void character_class() {
    copy(1);
    if (peek() == '^') copy(1);
    if (peek() == ']') refuse_rest();
    bool is_single = false;  // whether a range may begin with what is before
    while (peek() != ']') {
      const char c = peek();
      if (at_ >= pattern_.size() || c == '[' || starts("&&")) refuse_rest();
      if (c == '-' && peek(1) != ']') {
        if (!is_single || peek(1) == '[' || peek(1) == '-') refuse_rest();
        copy(1);
        if (peek() == '\\') {
          if (!escape(true)) refuse_rest();
        } else {
          copy_character();
        }
        is_single = false;
      } else if (c == '\\') {
        is_single = escape(true);
      } else {
        copy_character();
        is_single = true;
      }
    }
    copy(1);
  }

  /// Copies what says how often the part before it comes. `{n}+` and `{n}?` mean other things to
  /// Oniguruma, and so does `{,n}`.
  void quantifier() {
    bool is_exact = false, is_counted = false;
    if (peek() == '{') {
      copy(1);
      if (!is_digit(peek())) refuse_rest();
      while (is_digit(peek())) copy(1);
      is_exact = peek() != ',';
      if (!is_exact) copy(1);
      while (is_digit(peek())) copy(1);
      if (peek() != '}') refuse_rest();
      copy(1);
      is_counted = true;
    } else if (at_ < pattern_.size() && contains("*+?", peek())) {
      copy(1);
    } else {
      return;
    }
    if (peek() == '?' && !is_exact) copy(1);
    if (peek() == '+' && !is_counted) copy(1);
    if (at_ < pattern_.size() && contains("*+?{", peek())) refuse_rest();
  }

  const std::string_view pattern_;
  const std::string& where_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string pcre2_pattern(std::string_view pattern, const std::string& where) {
  return Translation(pattern, where).run();
}

}  // namespace cllm
