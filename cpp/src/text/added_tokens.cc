#include "text/added_tokens.h"

#include <algorithm>

namespace cllm {

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens, bool split_special)
    : first_(256), second_(256), split_special_(split_special) {
  for (const AddedToken& token : tokens) {
    if (token.name.empty()) continue;
    Names& names = token.is_normalized ? second_ : first_;
    names[static_cast<unsigned char>(token.name.front())].push_back(token);
  }
  for (Names* const names : {&first_, &second_}) {
    for (std::vector<AddedToken>& alike : *names) {
      std::stable_sort(alike.begin(), alike.end(), [](const AddedToken& a, const AddedToken& b) {
        return a.name.size() > b.name.size();
      });
    }
  }
}

void AddedTokens::cut(std::string_view text, const Names& names, std::vector<Piece>& pieces) const {
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::vector<AddedToken>& alike = names[static_cast<unsigned char>(text[at])];
    const auto found = std::find_if(alike.begin(), alike.end(), [&](const AddedToken& token) {
      return text.substr(at, token.name.size()) == token.name;
    });
    if (found == alike.end()) {
      ++at;
      continue;
    }
    const std::size_t end = at + found->name.size();
    if (!(found->is_special && split_special_)) {
      if (at > done) pieces.push_back({text.substr(done, at - done), -1});
      pieces.push_back({{}, found->id});
      done = end;
    }
    at = end;  // nothing is found inside of a name, even of one that stays text
  }
  if (done < text.size()) pieces.push_back({text.substr(done), -1});
}

std::vector<AddedTokens::Piece> AddedTokens::split(std::string_view text) const {
  std::vector<Piece> once, twice;
  cut(text, first_, once);
  for (const Piece& piece : once) {
    if (piece.token >= 0) {
      twice.push_back(piece);
    } else {
      cut(piece.text, second_, twice);
    }
  }
  return twice;
}

}  // namespace cllm
