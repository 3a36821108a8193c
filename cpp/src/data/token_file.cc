#include "data/token_file.h"

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"
#include "cllm/error.h"

namespace cllm {
namespace {

constexpr unsigned char kMagic[8] = {0x93, 'C', 'L', 'L', 'M', 'T', 'O', 'K'};
constexpr std::size_t kChecksumAt = TokenFileHeader::kBytes - 4;
constexpr const char* kMakeAgain = "the file is damaged or cut short: copy or prepare it again";

template <class T>
T load(const std::byte* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <class T>
void store(std::byte* at, const T& value) noexcept {
  std::memcpy(at, &value, sizeof value);
}

/// Returns the index of the first token that is not below the vocabulary, or `count`.
template <class T>
std::uint64_t first_outside(const std::byte* tokens, std::uint64_t count,
                            std::uint64_t vocabulary) {
  for (std::uint64_t i = 0; i < count; ++i) {
    if (load<T>(tokens + i * sizeof(T)) >= vocabulary) return i;
  }
  return count;
}

}  // namespace

std::array<std::byte, TokenFileHeader::kBytes> TokenFileHeader::encode() const noexcept {
  std::array<std::byte, kBytes> bytes{};
  std::memcpy(bytes.data(), kMagic, 8);
  store(&bytes[8], kVersion);
  store(&bytes[12], width);
  store(&bytes[16], count);
  store(&bytes[24], vocabulary);
  store(&bytes[32], tokenizer);
  store(&bytes[64], kBlock);
  store(&bytes[72], text_bytes);
  store(&bytes[kChecksumAt], crc32c(bytes.data(), kChecksumAt));
  return bytes;
}

TokenFileHeader decode_token_file_header(Span<const std::byte> head, std::uint64_t size,
                                         const std::string& path) {
  if (head.size() < TokenFileHeader::kBytes) {
    throw InputError({"token file without a whole header", std::to_string(size) + " bytes",
                      "at least " + std::to_string(TokenFileHeader::kBytes), path, kMakeAgain});
  }
  const std::byte* bytes = head.data();
  const auto version = load<std::uint32_t>(bytes + 8);
  if (version != TokenFileHeader::kVersion) {
    throw InputError({"token file of a version this program does not read", std::to_string(version),
                      std::to_string(TokenFileHeader::kVersion), path,
                      "prepare the tokens again with this version of CLLM"});
  }
  if (load<std::uint32_t>(bytes + kChecksumAt) != crc32c(bytes, kChecksumAt)) {
    throw InputError(
        {"the header of the token file does not match its checksum", "", "", path, kMakeAgain});
  }
  TokenFileHeader header;
  header.width = load<std::uint32_t>(bytes + 12);
  header.count = load<std::uint64_t>(bytes + 16);
  header.vocabulary = load<std::uint64_t>(bytes + 24);
  header.tokenizer = load<std::array<std::uint8_t, 32>>(bytes + 32);
  header.text_bytes = load<std::uint64_t>(bytes + 72);
  if (header.width != 2 && header.width != 4) {
    throw InputError({"unknown token width", std::to_string(header.width) + " bytes", "2 or 4",
                      path, "prepare the tokens again"});
  }
  const std::uint64_t largest = header.width == 2 ? 65536 : std::uint64_t{1} << 31;
  if (header.vocabulary < 1 || header.vocabulary > largest) {
    throw InputError({"the vocabulary does not fit the token width",
                      std::to_string(header.vocabulary), "1 to " + std::to_string(largest), path,
                      "prepare the tokens again"});
  }
  if (load<std::uint64_t>(bytes + 64) != TokenFileHeader::kBlock) {
    throw InputError({"unknown checksum block size",
                      std::to_string(load<std::uint64_t>(bytes + 64)),
                      std::to_string(TokenFileHeader::kBlock), path, "prepare the tokens again"});
  }
  // The first test makes sure that the second cannot overflow.
  if (header.count > size || header.file_bytes() != size) {
    const bool fits = header.count <= size;
    throw InputError({"the file does not have the size its header tells",
                      std::to_string(size) + " bytes",
                      (fits ? std::to_string(header.file_bytes()) + " bytes" : "room") + " for " +
                          std::to_string(header.count) + " tokens",
                      path, kMakeAgain});
  }
  return header;
}

void verify_token_file(const DataFile& file, const TokenFileHeader& header) {
  static_assert(TokenFileHeader::kBlock == DataFile::kPiece, "a piece is what a checksum covers");
  const std::uint64_t begin = TokenFileHeader::kBytes, end = begin + header.token_bytes();
  std::string outside;  // checksums come first: a damaged token is not reported
  file.scan(begin, end, [&](std::uint64_t at, Span<const std::byte> bytes) {
    const std::uint64_t block = (at - begin) / TokenFileHeader::kBlock;
    std::uint32_t checksum = 0;
    file.read(end + 4 * block, &checksum, sizeof checksum);
    if (crc32c(bytes.data(), bytes.size()) != checksum) {
      throw InputError(
          {"tokens do not match their checksum",
           "damage in block " + std::to_string(block) + " of " + std::to_string(header.blocks()),
           "", file.path(), "copy or prepare the file again"});
    }
    const std::uint64_t count = bytes.size() / header.width;
    const std::uint64_t bad =
        header.width == 2 ? first_outside<std::uint16_t>(bytes.data(), count, header.vocabulary)
                          : first_outside<std::uint32_t>(bytes.data(), count, header.vocabulary);
    if (bad == count || !outside.empty()) return true;
    const std::byte* token = bytes.data() + bad * header.width;
    outside = std::to_string(header.width == 2 ? load<std::uint16_t>(token)
                                               : load<std::uint32_t>(token)) +
              " at position " + std::to_string((at - begin) / header.width + bad);
    return true;
  });
  if (outside.empty()) return;
  // Checksums prove that these bytes were written, not that the writer was right.
  throw InputError({"token outside the vocabulary", outside,
                    "below " + std::to_string(header.vocabulary), file.path(),
                    "prepare the tokens again"});
}

TokenFileWriter::TokenFileWriter(const std::string& path, std::int64_t vocabulary, int width,
                                 std::array<std::uint8_t, 32> tokenizer)
    : path_(path), file_(path) {
  if (width != 2 && width != 4) {
    throw InputError({"unknown token width", std::to_string(width) + " bytes", "2 or 4", path, ""});
  }
  const std::int64_t largest = width == 2 ? 65536 : std::int64_t{1} << 31;
  if (vocabulary < 1 || vocabulary > largest) {
    throw InputError(
        {"the vocabulary does not fit the token width", std::to_string(vocabulary),
         "1 to " + std::to_string(largest) + " with " + std::to_string(width) + " bytes a token",
         path, width == 2 ? "write 4 bytes a token" : ""});
  }
  header_.width = static_cast<std::uint32_t>(width);
  header_.vocabulary = static_cast<std::uint64_t>(vocabulary);
  header_.tokenizer = tokenizer;
  block_.reserve(TokenFileHeader::kBlock);
  const auto bytes = header_.encode();  // reserves its place; the counts are known at the end
  file_.write(bytes.data(), bytes.size());
}

void TokenFileWriter::append(Span<const std::int32_t> tokens) {
  for (const std::int32_t token : tokens) {
    if (token < 0 || static_cast<std::uint64_t>(token) >= header_.vocabulary) {
      throw InputError({"token outside the vocabulary",
                        std::to_string(token) + " at position " + std::to_string(header_.count),
                        "0 to " + std::to_string(header_.vocabulary - 1), path_, ""});
    }
    const std::size_t at = block_.size();
    block_.resize(at + header_.width);
    std::memcpy(&block_[at], &token, header_.width);  // little-endian: low bytes first
    ++header_.count;
    if (block_.size() == TokenFileHeader::kBlock) end_block();
  }
}

void TokenFileWriter::end_block() {
  checksums_.push_back(crc32c(block_.data(), block_.size()));
  file_.write(block_.data(), block_.size());
  block_.clear();
}

void TokenFileWriter::finish(std::int64_t text_bytes) {
  if (!block_.empty()) end_block();
  header_.text_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(text_bytes, 0));
  file_.write(checksums_.data(), 4 * checksums_.size());
  const auto bytes = header_.encode();
  file_.overwrite(0, bytes.data(), bytes.size());
  file_.commit();
}

void write_token_file(const std::string& path, Span<const std::int32_t> tokens,
                      std::int64_t vocabulary, int width) {
  TokenFileWriter writer(path, vocabulary, width);
  writer.append(tokens);
  writer.finish();
}

}  // namespace cllm
