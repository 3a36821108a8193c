// Help is folded to the width of the terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// Returns the columns that help is folded to: those of COLUMNS or of the terminal, from 40 to 120;
/// 96 where neither says.
std::size_t help_columns();

/// Builds a text of lines and of rows in two columns, folded at words.
class FoldedText {
 public:
  explicit FoldedText(std::size_t columns);

  void line(std::string_view words, std::size_t indent = 0);
  /// Adds `left`, with the words of `right` beside it, or below it where that does not fit.
  void row(std::string_view left, std::string_view right);
  void blank() { text_ += '\n'; }
  const std::string& text() const { return text_; }

 private:
  void fold(std::string_view words, std::size_t indent);

  std::size_t columns_;
  std::size_t indent_;  ///< of the second column
  std::string text_;
};
