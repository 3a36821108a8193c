#include "text/pattern.h"

#include <algorithm>
#include <cstdint>

#include "base/refuse.h"
#include "text/pattern_syntax.h"

#ifdef CLLM_PCRE2
#include <pcre2.h>

#include "text/refuse_tokenizer.h"
#include "text/utf8.h"
#endif

namespace cllm {

#ifdef CLLM_PCRE2

namespace {

struct Free {
  void operator()(pcre2_code* code) const noexcept { pcre2_code_free(code); }
  void operator()(pcre2_match_data* data) const noexcept { pcre2_match_data_free(data); }
  void operator()(pcre2_match_context* context) const noexcept {
    pcre2_match_context_free(context);
  }
  void operator()(pcre2_compile_context* context) const noexcept {
    pcre2_compile_context_free(context);
  }
};

std::string message_of(int error) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

struct Pattern::Impl {
  std::unique_ptr<pcre2_code, Free> code;
  std::unique_ptr<pcre2_match_data, Free> match;
  std::unique_ptr<pcre2_match_context, Free> limits;

  Impl(std::string_view pattern, const std::string& where) {
    const std::string text = pcre2_pattern(pattern, where);
    const std::unique_ptr<pcre2_compile_context, Free> context(
        pcre2_compile_context_create(nullptr));
    pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
    int error = 0;
    PCRE2_SIZE at = 0;
    code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                             PCRE2_UTF | PCRE2_UCP, &error, &at, context.get()));
    if (!code) refuse_tokenizer("a pattern of which PCRE2 says: " + message_of(error), "", where);
    match.reset(pcre2_match_data_create_from_pattern(code.get(), nullptr));
    limits.reset(pcre2_match_context_create(nullptr));
    if (!match || !limits) throw Error(ErrorParts{"no memory for a pattern", "", "", where, ""});
  }

  /// Bounds what one match may cost. The patterns of real tokenizers take a few steps a byte.
  void limit_steps(std::size_t text_bytes) const {
    constexpr std::size_t kFree = 1'000'000, kEach = 8, kMost = 0xFFFFFFFF;
    const std::size_t steps = std::min(kFree + kEach * text_bytes, kMost);
    pcre2_set_match_limit(limits.get(), static_cast<std::uint32_t>(steps));
  }

  /// Finds the first match from `from` on.
  bool find(std::string_view text, std::size_t from, std::size_t* begin, std::size_t* end) const {
    const int found = pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()),
                                  text.size(), from, PCRE2_NO_UTF_CHECK, match.get(), limits.get());
    if (found == PCRE2_ERROR_NOMATCH) return false;
    if (found < 0) {
      throw Error(ErrorParts{"the tokenizer's pattern cannot be matched with this text",
                             message_of(found), "", "", "`cllm generate` may do it"});
    }
    const PCRE2_SIZE* const offsets = pcre2_get_ovector_pointer(match.get());
    *begin = offsets[0];
    *end = offsets[1];
    return true;
  }
};

bool Pattern::can_run() noexcept { return true; }

void Pattern::split(std::string_view text, std::vector<std::string>& pieces) const {
  impl_->limit_steps(text.size());
  std::size_t done = 0;  // the end of the last piece
  const auto cut = [&](std::size_t end) {
    if (end > done) pieces.emplace_back(text.substr(done, end - done));
    done = end;
  };
  std::size_t from = 0, begin = 0, end = 0;
  while (from < text.size() && impl_->find(text, from, &begin, &end)) {
    cut(begin);
    cut(end);
    from = end;
    if (begin == end && end < text.size()) from += utf8_step(text, end).bytes;
  }
  cut(text.size());
}

#else

struct Pattern::Impl {
  Impl(std::string_view pattern, const std::string& where) {
    pcre2_pattern(pattern, where);
    refuse("this build cannot run the tokenizer's pattern", "no PCRE2", "a build with it", where,
           "install libpcre2-dev (Debian, Ubuntu: apt-get install libpcre2-dev) and build again, "
           "or use `cllm generate`");
  }
};

bool Pattern::can_run() noexcept { return false; }

void Pattern::split(std::string_view, std::vector<std::string>&) const {}

#endif

Pattern::Pattern(std::string_view pattern, const std::string& where)
    : impl_(std::make_unique<Impl>(pattern, where)) {}
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

}  // namespace cllm
