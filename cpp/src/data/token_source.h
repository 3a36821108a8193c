// Tokens to train on come from one file or from several that follow each other: text, or token
// files.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/data_files.h"
#include "data/token_part.h"

namespace cllm {

/// The parts are of one kind and of one tokenizer; a sequence may begin in one and end in the next.
/// Thread safety: any thread may call copy(); all else is for one thread at a time.
class TokenSource {
 public:
  /// Bytes are their own tokens; id 256 ends a text.
  static constexpr std::int64_t kByteVocabulary = TokenLayout::kByteVocabulary;

  /// Opens one file (TokenPart). `vocabulary` is the value of --vocab, 0 when not given.
  explicit TokenSource(const std::string& path, std::int64_t vocabulary = 0);
  /// Reads data in memory.
  explicit TokenSource(const MemoryData::Pointer& data, std::int64_t vocabulary = 0);
  /// Opens several files; `name` stands for all of them. With `byte_tokens` their ids are bytes.
  /// Throws InputError for files that do not belong together. REQUIRES: there is a path.
  TokenSource(std::string name, const std::vector<std::string>& paths, std::int64_t vocabulary,
              bool byte_tokens);
  /// Opens several files of examples, each with the file of its marks (data/examples.h). Throws
  /// InputError for marks that are not those of its tokens. REQUIRES: as many of them as paths.
  TokenSource(std::string name, const std::vector<std::string>& paths,
              const std::vector<std::string>& marks, std::int64_t vocabulary, bool byte_tokens);
  TokenSource(TokenSource&&) noexcept = default;
  TokenSource& operator=(TokenSource&&) = delete;

  /// Returns the name of the data: of one file its path.
  const std::string& path() const noexcept { return name_; }
  /// Returns the number of files.
  std::size_t files() const noexcept { return parts_.size(); }
  /// Returns what TokenPart::kind() says of every part.
  const char* kind() const noexcept { return parts_.front()->kind(); }
  /// Says whether tokens are the bytes of a text, so that no tokenizer is needed.
  bool is_bytes() const noexcept { return parts_.front()->is_bytes(); }
  /// Returns the number of tokens; at least 1.
  std::int64_t size() const noexcept { return begins_.back(); }
  /// Every token is below this; 0 when unknown: llm.c's and NumPy's files opened without --vocab.
  std::int64_t vocabulary() const noexcept { return vocabulary_; }
  /// Returns the largest token; -1 when not looked for (text, CLLM tokens).
  std::int64_t largest_token() const noexcept;
  /// Counts the bytes of text that the tokens stand for; 0 when unknown.
  std::int64_t bytes() const noexcept;
  /// Returns the SHA-256 of the tokenizer in hex; "" when the files do not say.
  std::string tokenizer() const { return parts_.front()->tokenizer(); }

  /// Copies tokens offset .. offset + count - 1 into out[count]. Each is below the vocabulary,
  /// whatever the files hold by now. Allocates nothing. Throws DataError when they no longer exist
  /// or are damaged. REQUIRES: 0 <= offset, 0 <= count, offset + count <= size().
  void copy(std::int64_t offset, std::int64_t count, std::int32_t* out) const;

  /// Says whether the tokens are examples with marks.
  bool has_marks() const noexcept { return !marks_.empty(); }
  /// Does as copy() for the marks of these tokens. REQUIRES: has_marks().
  void copy_marks(std::int64_t offset, std::int64_t count, std::int32_t* out) const;

  /// Does TokenPart::verify() for every part.
  void verify() const;

  /// Returns what the user should know of the files before training. Looks at the text.
  std::vector<std::string> notes() const;

  /// Notices changes from now on: begins to hash the files, in the background where they are large.
  void watch();
  /// Throws DataError when a file is not what it was when it was opened (DataWatch::check). Does
  /// nothing without watch(). Call it after the tokens of a batch were copied.
  void check_unchanged() const;
  /// Returns the fingerprint of the data as they were opened; matches() compares it with `saved`.
  /// That of several files is made of theirs. REQUIRES: watch().
  DataFingerprint fingerprint() const;
  /// Returns the same without waiting for the hash of a large file: sizes and ends where one is
  /// missing.
  DataFingerprint fingerprint_now() const;
  bool matches(const DataFingerprint& saved) const;
  /// Says whether neither has to wait for a hash. REQUIRES: watch().
  bool is_hashed() const;
  /// Says whether some file is part of both, whatever its name.
  bool shares_file(const TokenSource& other) const noexcept;

 private:
  using Parts = std::vector<std::unique_ptr<TokenPart>>;

  void check_parts() const;
  void check_marks() const;
  void copy_of(const Parts& parts, std::int64_t offset, std::int64_t count,
               std::int32_t* out) const;
  /// Returns every file: tokens, then marks.
  std::vector<const TokenPart*> all() const;

  std::string name_;
  Parts parts_;
  Parts marks_;                       // of each part, when the tokens are examples
  std::vector<std::int64_t> begins_;  // the first token of each part, then the number of tokens
  std::int64_t vocabulary_ = 0;
};

/// Opens `paths`, which are some of the data's files. Throws InputError for files that are not of
/// the data set's tokenizer.
TokenSource open_files(const DataFiles& data, const std::vector<std::string>& paths,
                       std::int64_t vocabulary);

}  // namespace cllm
