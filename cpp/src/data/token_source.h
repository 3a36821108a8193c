// Tokens to train on, mapped from a file and never loaded: text, or one of three token files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/mapped_file.h"
#include "data/token_file.h"

namespace cllm {

/// Which file is what: by its first bytes (CLLM's own token file, llm.c's shard), else by the name
/// (.bin: uint16 tokens without a header, as nanoGPT writes), else it is text, byte by byte.
/// Thread safety: immutable after construction, so any thread may read.
class TokenSource {
 public:
  /// Bytes are their own tokens; id 256 ends a text.
  static constexpr std::int64_t kByteVocabulary = 257;

  /// `vocabulary` is the value of --vocab, 0 when not given. It is needed for a headerless file,
  /// and must cover what the file holds; a larger one pads the model. Tokens without checksums are
  /// all looked at here, so that none can lie outside. Throws InputError naming `path`.
  explicit TokenSource(const std::string& path, std::int64_t vocabulary = 0);

  const std::string& path() const noexcept { return path_; }
  /// "text", "llm.c shard", "uint16 tokens" or "CLLM tokens".
  const char* kind() const noexcept { return kind_; }
  /// Whether tokens are the bytes of a text, so that no tokenizer is needed.
  bool is_bytes() const noexcept { return width_ == 1; }
  /// In tokens; at least 1.
  std::int64_t size() const noexcept { return size_; }
  /// Every token is below it; 0 when unknown: an llm.c shard opened without --vocab.
  std::int64_t vocabulary() const noexcept { return vocabulary_; }
  /// The largest token there is; -1 when not looked for (text, CLLM tokens).
  std::int64_t largest_token() const noexcept { return largest_token_; }
  /// Bytes of text that the tokens stand for; 0 when unknown.
  std::int64_t bytes() const noexcept { return text_bytes_; }

  /// Tokens offset .. offset + count - 1 into out[count].
  /// REQUIRES: 0 <= offset, 0 <= count, offset + count <= size().
  void copy(std::int64_t offset, std::int64_t count, std::int32_t* out) const noexcept;

  /// Reads everything that has checksums and throws InputError where they fail. To be called once
  /// before training from a CLLM token file, whose tokens are not looked at when it is opened.
  void verify() const;

 private:
  void open_token_file(std::int64_t vocabulary);
  void open_llmc_shard();
  void open_headerless(std::int64_t vocabulary);
  void open_text(std::int64_t vocabulary);
  void find_largest_token(std::int64_t vocabulary);

  std::string path_;
  MappedFile file_;
  const char* kind_ = "";
  const std::byte* tokens_ = nullptr;
  int width_ = 1;
  std::int64_t size_ = 0;
  std::int64_t vocabulary_ = 0;
  std::int64_t largest_token_ = -1;
  std::int64_t text_bytes_ = 0;
  std::optional<TokenFileHeader> header_;
};

}  // namespace cllm
