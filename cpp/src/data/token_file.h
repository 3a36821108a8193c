// CLLM's own token file has a checked header, the tokens, and a checksum for each MiB of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/span.h"
#include "data/data_file.h"

namespace cllm {

/// Numbers are little-endian, at these offsets of the first 1024 bytes (the rest is zero):
///      0  8 bytes  magic 0x93 "CLLMTOK" (0x93 begins no text in ASCII or UTF-8)
///      8  u32      version, 1
///     12  u32      bytes a token: 2 or 4
///     16  u64      number of tokens
///     24  u64      vocabulary: every token is below it
///     32  32 bytes SHA-256 of the tokenizer; zeros when there is none
///     64  u64      bytes a checksum covers, 1 MiB
///     72  u64      bytes of text the tokens stand for; 0 when unknown
///   1020  u32      CRC-32C of the 1020 bytes before it
/// Then come the tokens, then one CRC-32C (u32) for each MiB of them; the last covers what remains.
struct TokenFileHeader {
  static constexpr std::size_t kBytes = 1024;
  static constexpr std::uint32_t kVersion = 1;
  static constexpr std::uint64_t kBlock = std::uint64_t{1} << 20;

  std::uint32_t width = 2;
  std::uint64_t count = 0;
  std::uint64_t vocabulary = 0;
  std::array<std::uint8_t, 32> tokenizer{};
  std::uint64_t text_bytes = 0;

  std::uint64_t token_bytes() const noexcept { return count * width; }
  std::uint64_t blocks() const noexcept { return (token_bytes() + kBlock - 1) / kBlock; }
  std::uint64_t file_bytes() const noexcept { return kBytes + token_bytes() + 4 * blocks(); }

  std::array<std::byte, kBytes> encode() const noexcept;
};

/// Decodes the header of a file of `size` bytes that starts with `head` (kBytes of it, or all).
/// Throws InputError with `path` for a header that is cut short, damaged, of another version, or
/// whose counts do not fit `size`. REQUIRES: the file begins with the magic.
TokenFileHeader decode_token_file_header(Span<const std::byte> head, std::uint64_t size,
                                         const std::string& path);

/// Throws InputError for the first damaged block, or the first token not below the vocabulary.
/// REQUIRES: `header` was decoded from `file`.
void verify_token_file(const DataFile& file, const TokenFileHeader& header);

/// Writes a token file piece by piece in a few MiB of memory, however long the text is. The file
/// appears under its name at finish(), and never without it.
class TokenFileWriter {
 public:
  /// Throws InputError unless width is 2 or 4 and holds vocabulary - 1.
  TokenFileWriter(const std::string& path, std::int64_t vocabulary, int width,
                  std::array<std::uint8_t, 32> tokenizer = {});

  /// Throws InputError for a token outside the vocabulary, and Error when it cannot be written.
  void append(Span<const std::int32_t> tokens);
  /// Completes the file. `text_bytes` counts the text that the tokens stand for; 0 when unknown.
  void finish(std::int64_t text_bytes = 0);

 private:
  void end_block();

  std::string path_;
  DurableFile file_;
  TokenFileHeader header_;
  std::vector<std::byte> block_;  ///< tokens not yet written, under kBlock bytes
  std::vector<std::uint32_t> checksums_;
};

/// Writes all of `tokens` as one token file.
void write_token_file(const std::string& path, Span<const std::int32_t> tokens,
                      std::int64_t vocabulary, int width);

}  // namespace cllm
