// A text tokenizer makes tokens of text, and text of tokens as they come.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace cllm {

/// Makes text of one row of tokens. All that it returns, joined, is the text of the row.
class TokenText {
 public:
  virtual ~TokenText() = default;
  /// Takes the next token and returns the text that has become certain, which may be none.
  virtual std::string add(std::int32_t token) = 0;
  /// Returns what was still missing a part.
  virtual std::string finish() = 0;
};

/// Thread safety: one thread at a time.
class TextTokenizer {
 public:
  virtual ~TextTokenizer() = default;
  /// Throws InputError for a text that has no tokens, such as one that is not UTF-8.
  virtual std::vector<std::int32_t> encode(std::string_view text) const = 0;
  /// Returns the number that all ids are below.
  virtual std::int64_t known() const = 0;
  /// REQUIRES: the tokenizer lives longer.
  virtual std::unique_ptr<TokenText> text() const = 0;
};

/// Makes the tokenizer of a byte model: a token is a byte, whatever the bytes are, and each is text
/// at once. 256 ends a text and is none.
std::unique_ptr<TextTokenizer> make_byte_tokenizer();

/// Makes a byte-level BPE tokenizer, or one of characters, which gives the ids and the text that
/// Hugging Face's library gives. `config` is tokenizer_config.json; it may be empty. Special tokens
/// have no text. A letter or number that Unicode has got since PCRE2 was made is cut as a symbol.
/// Throws InputError, naming `where`, for other kinds, and for files that are damaged.
std::unique_ptr<TextTokenizer> make_bpe_tokenizer(std::string_view json, std::string_view config,
                                                  const std::string& where);

}  // namespace cllm
