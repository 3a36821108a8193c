// Added tokens are found in a text by their names, before anything else is done with it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cllm {

struct AddedToken {
  std::string name;
  std::int32_t id = 0;
  bool is_special = false;  ///< it is never printed
  /// It is looked for after the normalizer, in what is left of the text.
  bool is_normalized = false;
};

class AddedTokens {
 public:
  /// Is a stretch of text, or an added token.
  struct Piece {
    std::string_view text;
    std::int32_t token;  ///< -1: text
  };

  /// With `split_special` the names of special tokens in a text are text.
  AddedTokens(const std::vector<AddedToken>& tokens, bool split_special);

  /// Cuts a text at the names that are in it: the leftmost first, of those that begin at one place
  /// the longest. No piece is empty.
  std::vector<Piece> split(std::string_view text) const;

 private:
  /// Holds tokens that are looked for together, by their first byte, the longest first.
  using Names = std::vector<std::vector<AddedToken>>;

  void cut(std::string_view text, const Names& names, std::vector<Piece>& pieces) const;

  Names first_, second_;
  bool split_special_;
};

}  // namespace cllm
