// Where the tokens lie in a data file and how many bytes each takes, by the kind of the file.
#pragma once

#include <cstdint>
#include <optional>

#include "data/data_file.h"
#include "data/file_kind.h"
#include "data/token_file.h"

namespace cllm {

/// What a file's header says of its tokens. Numbers are little-endian; a signed one that is
/// negative reads as a number beyond every vocabulary.
struct TokenLayout {
  /// Bytes are their own tokens; id 256 ends a text.
  static constexpr std::int64_t kByteVocabulary = 257;

  const char* kind = "";
  std::uint64_t begin = 0;  ///< bytes before the first token
  int width = 1;            ///< bytes a token: 1, 2, 4 or 8
  bool is_signed = false;   ///< for messages
  std::int64_t count = 0;
  std::int64_t vocabulary = 0;            ///< every token is below it; 0: the file does not say
  std::int64_t text_bytes = 0;            ///< that the tokens stand for; 0: unknown
  std::optional<TokenFileHeader> header;  ///< of CLLM's own file
  /// Tokens of 16 bits by the file's name alone: what it holds may be something else.
  bool guessed = false;

  std::uint64_t end() const noexcept {
    return begin + static_cast<std::uint64_t>(count) * static_cast<std::uint64_t>(width);
  }
};

/// Which file is what: by its first bytes, else by its name (.bin: tokens of 16 bits without a
/// header, as nanoGPT writes), else it is text. `vocabulary` is the value of --vocab, 0 when not
/// given. Throws InputError, which names the file and its kind, for what cannot be trained on.
TokenLayout find_tokens(const DataFile& file, std::int64_t vocabulary);

/// The layout of a .npy file (versions 1 to 3) that holds token ids in one dimension. Throws
/// InputError for other arrays. REQUIRES: the file begins with NumPy's mark.
TokenLayout find_numpy_tokens(const DataFile& file);

}  // namespace cllm
