// The tokenizer of a tokenizer.json: added tokens, words, merges, and back.
#include <algorithm>
#include <cstdio>
#include <unordered_map>
#include <unordered_set>

#include "base/refuse.h"
#include "cllm/wording.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/byte_letters.h"
#include "text/composed_text.h"
#include "text/refuse_tokenizer.h"
#include "text/text_tokenizer.h"
#include "text/tokenizer_file.h"
#include "text/utf8.h"

namespace cllm {
namespace {

std::string code_point_text(std::string_view text, std::size_t at) {
  char name[16];
  std::snprintf(name, sizeof name, "U+%04X", static_cast<unsigned>(utf8_step(text, at).code));
  return name;
}

void check_utf8(std::string_view text) {
  const std::size_t at = first_invalid_utf8(text);
  if (at == std::string_view::npos) return;
  char byte[16];
  std::snprintf(byte, sizeof byte, "a byte 0x%02x", static_cast<unsigned char>(text[at]));
  refuse("not UTF-8", byte, "text for this model's tokenizer", option_word("prompt"));
}

void check_composed(std::string_view text, const std::string& where) {
  const std::size_t at = first_not_composed(text);
  if (at == std::string_view::npos) return;
  refuse_tokenizer("text that the normalizer NFC may change: " + code_point_text(text, at),
                   "composed characters", where);
}

/// Holds the names by id; no name for a token that is never printed.
using Names = std::unordered_map<std::int32_t, std::string_view>;

class BpeText : public TokenText {
 public:
  BpeText(const Names& names, bool is_byte_level) : names_(names), is_byte_level_(is_byte_level) {}

  std::string add(std::int32_t token) override {
    const auto name = names_.find(token);
    if (name == names_.end()) return "";
    return is_byte_level_ ? stream_.add(spelled_bytes(name->second)) : std::string(name->second);
  }
  std::string finish() override { return stream_.finish(); }

 private:
  const Names& names_;
  const bool is_byte_level_;
  Utf8Stream stream_;
};

class BpeTokenizer : public TextTokenizer {
 public:
  BpeTokenizer(TokenizerFile file, bool split_special, const std::string& where)
      : where_(where),
        file_(std::move(file)),
        bpe_(std::move(file_.bpe), where),
        added_(file_.added, split_special) {
    for (const auto& [name, id] : bpe_.vocabulary()) add_name(id, name);
    for (const AddedToken& token : file_.added) add_name(token.id, token.name);
    for (const AddedToken& token : file_.added) {
      if (token.is_special) names_.erase(token.id);
      if (file_.composes && token.is_normalized) check_composed(token.name, where);
    }
  }

  std::vector<std::int32_t> encode(std::string_view text) const override {
    check_utf8(text);
    if (file_.composes) check_composed(text, where_);
    std::vector<std::int32_t> tokens = file_.before;
    for (const AddedTokens::Piece& piece : added_.split(text)) {
      if (piece.token >= 0) {
        tokens.push_back(piece.token);
      } else {
        for (const std::string& word : words_of(piece.text, file_.steps)) {
          bpe_.encode(word, tokens);
        }
      }
    }
    tokens.insert(tokens.end(), file_.after.begin(), file_.after.end());
    return tokens;
  }

  std::int64_t known() const override { return known_; }
  std::unique_ptr<TokenText> text() const override {
    return std::make_unique<BpeText>(names_, file_.is_byte_level);
  }

 private:
  void add_name(std::int32_t id, std::string_view name) {
    names_[id] = name;
    known_ = std::max(known_, std::int64_t{id} + 1);
  }

  const std::string where_;
  TokenizerFile file_;
  const Bpe bpe_;
  const AddedTokens added_;
  Names names_;
  std::int64_t known_ = 0;
};

}  // namespace

std::unique_ptr<TextTokenizer> make_bpe_tokenizer(std::string_view json, std::string_view config,
                                                  const std::string& where) {
  const bool split_special = !config.empty() && parse_split_special(config, where + "_config");
  return std::make_unique<BpeTokenizer>(parse_tokenizer_json(json, where), split_special, where);
}

}  // namespace cllm
