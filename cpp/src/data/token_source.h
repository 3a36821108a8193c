// Tokens to train on are read from a file piece by piece and never loaded: text, or token files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/data_file.h"
#include "data/data_watch.h"
#include "data/token_layout.h"

namespace cllm {

/// Reads what token_layout.h finds in a file as tokens. The file is held open, so its name may go.
/// Thread safety: any thread may call copy(); all else is for one thread at a time.
class TokenSource {
 public:
  /// Bytes are their own tokens; id 256 ends a text.
  static constexpr std::int64_t kByteVocabulary = TokenLayout::kByteVocabulary;

  /// `vocabulary` is the value of --vocab, 0 when not given. A headerless file needs it, and it
  /// must cover what the file holds; a larger one pads the model. If the tokens have no checksums,
  /// all of them are looked at here, so that none can lie outside. Throws InputError naming `path`.
  explicit TokenSource(const std::string& path, std::int64_t vocabulary = 0);
  /// Reads data in memory. Ids need no `vocabulary`: it is one more than the largest.
  explicit TokenSource(const MemoryData::Pointer& data, std::int64_t vocabulary = 0);
  TokenSource(TokenSource&&) noexcept = default;
  TokenSource& operator=(TokenSource&&) = delete;

  const std::string& path() const noexcept { return file_->path(); }
  /// Returns "text", "CLLM tokens", "llm.c shard", "llm.c shard of 32-bit tokens", "NumPy tokens",
  /// "uint16 tokens"; of data in memory "text", "texts" or "token ids".
  const char* kind() const noexcept { return layout_.kind; }
  /// Says whether tokens are the bytes of a text, so that no tokenizer is needed.
  bool is_bytes() const noexcept { return layout_.is_bytes; }
  /// Returns the number of tokens; at least 1.
  std::int64_t size() const noexcept { return layout_.count; }
  /// Every token is below this; 0 when unknown: llm.c's and NumPy's files opened without --vocab.
  std::int64_t vocabulary() const noexcept { return vocabulary_; }
  /// Returns the largest token; -1 when not looked for (text, CLLM tokens).
  std::int64_t largest_token() const noexcept { return largest_token_; }
  /// Counts the bytes of text that the tokens stand for; 0 when unknown.
  std::int64_t bytes() const noexcept { return layout_.text_bytes; }

  /// Copies tokens offset .. offset + count - 1 into out[count]. Each is below the vocabulary,
  /// whatever the file holds by now. Allocates nothing. Throws DataError when they no longer exist.
  /// REQUIRES: 0 <= offset, 0 <= count, offset + count <= size().
  void copy(std::int64_t offset, std::int64_t count, std::int32_t* out) const;

  /// Reads everything that has checksums and throws InputError where they fail. Call it once before
  /// training from a CLLM token file, whose tokens are not looked at when it is opened.
  void verify() const;

  /// Returns what the user should know of this file before training. Looks at the text.
  std::vector<std::string> notes() const;

  /// Notices changes from now on: begins to hash the file, in the background where it is large.
  void watch();
  /// Throws DataError when the file is not what it was when it was opened (DataWatch::check). Does
  /// nothing without watch(). Call it after the tokens of a batch were copied.
  void check_unchanged() const;
  /// Returns the fingerprint of the file as it was opened; matches() compares it with `saved`.
  /// REQUIRES: watch().
  DataFingerprint fingerprint() const { return watch_->fingerprint(); }
  /// Returns the same without waiting for the hash of a large file: its size and ends where that is
  /// missing.
  DataFingerprint fingerprint_now() const { return watch_->fingerprint_now(); }
  bool matches(const DataFingerprint& saved) const { return watch_->matches(saved); }
  /// Says whether neither has to wait for the hash. REQUIRES: watch().
  bool is_hashed() const { return watch_->is_hashed(); }
  /// Says whether both are one file, whatever their names.
  bool same_file(const TokenSource& other) const noexcept {
    return file_->opened().same_file(other.file_->opened());
  }

 private:
  /// Looks at what the layout says of the file. `memory` is its data in memory, or null.
  TokenSource(std::unique_ptr<DataFile> file, const MemoryData* memory, std::int64_t vocabulary);
  template <class T>
  void copy_as(std::int64_t offset, std::int64_t count, std::int32_t* out) const;
  [[noreturn]] void throw_outside(std::int64_t position, std::uint64_t token) const;

  std::unique_ptr<DataFile> file_;  // on the heap: the watch refers to it
  TokenLayout layout_;
  std::int64_t vocabulary_ = 0;
  std::int64_t asked_vocabulary_ = 0;  // --vocab
  std::int64_t largest_token_ = -1;
  std::uint64_t limit_ = 0;  // every copied token is below it
  std::unique_ptr<DataWatch> watch_;
};

}  // namespace cllm
