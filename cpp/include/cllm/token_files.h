// CLLM's token files hold the tokens of a text for training; they are written and checked here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace cllm {

/// What a token file's header says.
struct TokenFileInfo {
  std::int64_t tokens = 0;
  std::int64_t vocabulary = 0;  ///< every token is below it
  int width = 2;                ///< bytes a token: 2 or 4, little-endian
  std::size_t begin = 0;        ///< bytes before the first token; all tokens follow at once
  std::int64_t text_bytes = 0;  ///< text that the tokens stand for; 0 when unknown
  std::array<std::uint8_t, 32> tokenizer{};  ///< SHA-256 of the tokenizer; zeros when there is none
};

/// Reads the header, and everything else too when `verify` is set. Throws InputError for a file
/// that is no token file or is damaged.
TokenFileInfo read_token_file(const std::string& path, bool verify);

/// Writes a token file of any length piece by piece in a few MiB of memory. The file appears under
/// its name at finish(), and never without it. Thread safety: one thread at a time uses it.
class TokenWriter {
 public:
  /// Throws InputError unless width is 2 or 4 and holds vocabulary - 1.
  TokenWriter(const std::string& path, std::int64_t vocabulary, int width,
              const std::array<std::uint8_t, 32>& tokenizer = {});
  ~TokenWriter();

  /// Appends count tokens. Throws InputError for a token outside the vocabulary, and Error when it
  /// cannot be written.
  void append(const std::int32_t* tokens, std::size_t count);
  /// Completes the file; nothing can be appended any more.
  void finish(std::int64_t text_bytes = 0);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cllm
