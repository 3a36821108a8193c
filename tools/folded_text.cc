#include "folded_text.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace {

constexpr std::size_t kFewest = 40, kMost = 120, kUsual = 96;

/// With less, a second column would be too narrow to read; the text goes below.
constexpr std::size_t kTwoColumns = 72;

}  // namespace

std::size_t help_columns() {
  std::size_t columns = 0;
  const char* const said = std::getenv("COLUMNS");
  const std::string_view text = said == nullptr ? "" : said;
  std::from_chars(text.data(), text.data() + text.size(), columns);
  struct winsize window = {};
  if (columns == 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0) columns = window.ws_col;
  return std::clamp(columns == 0 ? kUsual : columns, kFewest, kMost);
}

FoldedText::FoldedText(std::size_t columns)
    : columns_(columns), indent_(columns < kTwoColumns ? 6 : 28) {}

void FoldedText::line(std::string_view words, std::size_t indent) {
  text_.append(indent, ' ');
  fold(words, indent);
}

void FoldedText::row(std::string_view left, std::string_view right) {
  const std::size_t end = left.size() + 2;
  const bool beside = end + 2 <= indent_;
  text_.append("  ").append(left);
  if (!beside) text_ += '\n';
  text_.append(indent_ - (beside ? end : 0), ' ');
  fold(right, indent_);
}

void FoldedText::fold(std::string_view words, std::size_t indent) {
  for (std::size_t column = indent; !words.empty();) {
    const std::size_t n = std::min(words.find(' '), words.size());
    if (column > indent && column + 1 + n > columns_) {
      text_ += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      text_ += ' ';
      ++column;
    }
    text_ += words.substr(0, n);
    column += n;
    words.remove_prefix(std::min(n + 1, words.size()));
  }
  text_ += '\n';
}
