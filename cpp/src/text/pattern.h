// A pattern cuts text into pieces: PCRE2 finds what it matches.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace cllm {

/// Is a compiled pattern. Thread safety: one thread at a time.
class Pattern {
 public:
  /// Says whether this build has PCRE2.
  static bool can_run() noexcept;

  /// Compiles a pattern of tokenizer.json (see pcre2_pattern). Throws InputError, naming `where`,
  /// for one that is not run here, and for any in a build without PCRE2, saying what to install.
  Pattern(std::string_view pattern, const std::string& where);
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  /// Appends the pieces of `text`: each match, and what is between matches. No piece is empty.
  /// REQUIRES: UTF-8. Throws Error when the pattern needs too many steps.
  void split(std::string_view text, std::vector<std::string>& pieces) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cllm
