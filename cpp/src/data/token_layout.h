// The layout says where the tokens lie in a data file and how many bytes each takes, by the file's
// kind.
#pragma once

#include <cstdint>
#include <optional>

#include "data/data_file.h"
#include "data/file_kind.h"
#include "data/token_file.h"

namespace cllm {

/// Holds what a file's header says of its tokens. Numbers are little-endian; a negative signed
/// number reads as one beyond every vocabulary.
struct TokenLayout {
  /// Bytes are their own tokens; id 256 ends a text.
  static constexpr std::int64_t kByteVocabulary = 257;

  const char* kind = "";
  std::uint64_t begin = 0;  ///< bytes before the first token
  int width = 1;            ///< bytes a token: 1, 2, 4 or 8
  bool is_bytes = false;    ///< tokens are the bytes of a text, so that no tokenizer is needed
  bool is_signed = false;   ///< for messages
  std::int64_t count = 0;
  std::int64_t vocabulary = 0;            ///< every token is below it; 0: the file does not say
  std::int64_t text_bytes = 0;            ///< text that the tokens stand for; 0: unknown
  std::optional<TokenFileHeader> header;  ///< for CLLM's own file
  /// The file's name alone says that its tokens have 16 bits; it may hold something else.
  bool guessed = false;

  std::uint64_t end() const noexcept {
    return begin + static_cast<std::uint64_t>(count) * static_cast<std::uint64_t>(width);
  }
};

/// Finds the tokens of a file. Its first bytes decide, else its name (.bin: tokens of 16 bits
/// without a header, as nanoGPT writes), else it is text. `vocabulary` is the value of --vocab, 0
/// when not given. Throws InputError, which names the file and its kind, for what cannot be trained
/// on.
TokenLayout find_tokens(const DataFile& file, std::int64_t vocabulary);

/// Does the same for data in memory, whose kind is known.
TokenLayout find_tokens(const MemoryData& data, std::int64_t vocabulary);

/// Says whether find_tokens() takes the bytes of a file for text.
bool is_text(const DataFile& file);

/// Says whether a file is of the kind that tells its vocabulary.
bool knows_vocabulary(const DataFile& file);

/// Returns the layout of a .npy file (versions 1 to 3) that holds token ids in one dimension.
/// Throws InputError for other arrays. REQUIRES: the file begins with NumPy's mark.
TokenLayout find_numpy_tokens(const DataFile& file);

}  // namespace cllm
