// A token part is one file of tokens, read piece by piece and never loaded: text, or a token file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/block_checks.h"
#include "data/data_file.h"
#include "data/data_watch.h"
#include "data/token_layout.h"

namespace cllm {

/// Reads what token_layout.h finds in a file as tokens. The file is held open, so its name may go.
/// Thread safety: any thread may call copy(); all else is for one thread at a time.
class TokenPart {
 public:
  /// verify() reads files up to this size, which takes a fraction of a second.
  static constexpr std::uint64_t kVerifiedAtOnce = std::uint64_t{256} << 20;

  /// `vocabulary` is the value of --vocab, 0 when not given. A headerless file needs it, and it
  /// must cover what the file holds; a larger one pads the model. If the tokens have no checksums,
  /// all of them are looked at here, so that none can lie outside. With `byte_tokens` the ids of a
  /// token file are bytes. Throws InputError naming `path`.
  explicit TokenPart(const std::string& path, std::int64_t vocabulary = 0,
                     bool byte_tokens = false);
  /// Reads data in memory. Ids need no `vocabulary`: it is one more than the largest.
  explicit TokenPart(const MemoryData::Pointer& data, std::int64_t vocabulary = 0);

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
  /// Returns the SHA-256 of the tokenizer in hex; "" when the file does not say.
  std::string tokenizer() const;

  /// Copies tokens offset .. offset + count - 1 into out[count]. Each is below the vocabulary,
  /// whatever the file holds by now. Allocates nothing. Throws DataError when they no longer exist,
  /// or do not match their checksum.
  /// REQUIRES: 0 <= offset, 0 <= count, offset + count <= size().
  void copy(std::int64_t offset, std::int64_t count, std::int32_t* out) const;

  /// Reads what has checksums and throws InputError where they fail. Call it once before training
  /// from a CLLM token file, whose tokens are not looked at when it is opened. Blocks of a file
  /// beyond kVerifiedAtOnce bytes are checked by copy() instead, each when it is first read.
  void verify() const;

  /// Returns what the user should know of this file before training. Looks at the text.
  std::vector<std::string> notes() const;

  /// Notices changes from now on: begins to hash the file, in the background when it is larger than
  /// `hashed_at_once` bytes.
  void watch(std::uint64_t hashed_at_once);
  /// Returns the watch; null without watch().
  DataWatch* watched() const noexcept { return watch_.get(); }
  /// Returns the file's size in bytes.
  std::uint64_t file_bytes() const noexcept { return file_->size(); }
  /// Says whether both are one file, whatever their names.
  bool same_file(const TokenPart& other) const noexcept {
    return file_->opened().same_file(other.file_->opened());
  }

 private:
  /// Looks at what the layout says of the file. `memory` is its data in memory, or null.
  TokenPart(std::unique_ptr<DataFile> file, const MemoryData* memory, std::int64_t vocabulary,
            bool byte_tokens);
  template <class T>
  void copy_as(std::int64_t offset, std::int64_t count, std::int32_t* out) const;
  [[noreturn]] void throw_outside(std::int64_t position, std::uint64_t token) const;

  std::unique_ptr<DataFile> file_;  // on the heap: the watch refers to it
  TokenLayout layout_;
  std::int64_t vocabulary_ = 0;
  std::int64_t asked_vocabulary_ = 0;  // --vocab
  std::int64_t largest_token_ = -1;
  std::uint64_t limit_ = 0;              // every copied token is below it
  std::unique_ptr<BlockChecks> checks_;  // of a CLLM token file
  std::unique_ptr<DataWatch> watch_;
};

}  // namespace cllm
