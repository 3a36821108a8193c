// CLLM's own token file is read back as it was written, and every kind of damage is noticed.
#include "data/token_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/crc32c.h"
#include "base/files.h"
#include "cllm/error.h"
#include "data/token_source.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

std::vector<std::int32_t> some_tokens(std::size_t count, std::int32_t vocabulary) {
  std::vector<std::int32_t> tokens(count);
  for (std::size_t i = 0; i < count; ++i) {
    tokens[i] =
        static_cast<std::int32_t>((i * 2654435761u >> 7) % static_cast<unsigned>(vocabulary));
  }
  return tokens;
}

std::vector<std::int32_t> all_of(const TokenSource& source) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(source.size()));
  source.copy(0, source.size(), tokens.data());
  return tokens;
}

/// What opening and verifying says about a file of these bytes.
std::string complaint(const TemporaryFolder& folder, const std::string& bytes,
                      std::int64_t vocabulary = 0) {
  const std::string path = folder.file("damaged.tok", bytes);
  const std::string text = message_of<InputError>([&] { TokenSource(path, vocabulary).verify(); });
  EXPECT_TRUE(text.empty() || has(text, path)) << text;
  return text;
}

template <class T>
std::string with(std::string bytes, std::size_t at, T value, bool sign = true) {
  std::memcpy(&bytes[at], &value, sizeof value);
  const std::uint32_t crc = crc32c(bytes.data(), 1020);
  if (sign) std::memcpy(&bytes[1020], &crc, 4);
  return bytes;
}

TEST(TokenFile, ReadsBackWhatWasWritten) {
  const TemporaryFolder folder;
  // Around a checksum block's end, for both widths.
  for (const int width : {2, 4}) {
    const std::size_t block = (std::size_t{1} << 20) / static_cast<std::size_t>(width);
    for (const std::size_t count : {std::size_t{1}, block - 1, block, block + 1, 2 * block + 3}) {
      const auto tokens = some_tokens(count, width == 2 ? 65536 : 200'000);
      const std::string path = folder / "t";
      write_token_file(path, tokens, width == 2 ? 65536 : 200'000, width);
      const TokenSource source(path);
      source.verify();
      EXPECT_EQ(all_of(source), tokens) << width << " " << count;
      EXPECT_EQ(source.vocabulary(), width == 2 ? 65536 : 200'000);
      EXPECT_FALSE(source.is_bytes());
      EXPECT_STREQ(source.kind(), "CLLM tokens");
    }
  }
}

TEST(TokenFile, PiecesMakeTheSameFile) {
  const TemporaryFolder folder;
  const auto tokens = some_tokens(700'001, 50257);
  write_token_file(folder / "whole", tokens, 50257, 2);
  TokenFileWriter writer(folder / "pieces", 50257, 2);
  const Span<const std::int32_t> all = tokens;
  for (std::size_t at = 0; at < all.size(); at += 99'991) {
    writer.append(all.subspan(at, std::min<std::size_t>(99'991, all.size() - at)));
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "pieces")) << "not before finish";
  writer.finish();
  EXPECT_EQ(read_text_file(folder / "pieces"), read_text_file(folder / "whole"));
}

TEST(TokenFile, KeepsTheTokenizerAndTheTextSize) {
  const TemporaryFolder folder;
  std::array<std::uint8_t, 32> tokenizer{};
  for (std::size_t i = 0; i < 32; ++i) tokenizer[i] = static_cast<std::uint8_t>(i + 1);
  TokenFileWriter writer(folder / "t", 300, 2, tokenizer);
  writer.append(some_tokens(10, 300));
  writer.finish(47);
  EXPECT_EQ(TokenSource(folder / "t").bytes(), 47);
  const DataFile file(folder / "t");
  EXPECT_EQ(decode_token_file_header(file.head(1024), file.size(), "t").tokenizer, tokenizer);
}

TEST(TokenFile, RefusesTokensOutsideTheVocabulary) {
  const TemporaryFolder folder;
  for (const std::int32_t bad : {-1, 100}) {
    const std::vector<std::int32_t> tokens = {5, 99, bad};
    const std::string text =
        message_of<InputError>([&] { write_token_file(folder / "t", tokens, 100, 2); });
    EXPECT_TRUE(has(text, std::to_string(bad) + " at position 2")) << text;
    EXPECT_FALSE(std::filesystem::exists(folder / "t"));
  }
  const std::vector<std::int32_t> tokens = {1};
  const auto write = [&](std::int64_t vocabulary, int width) {
    return message_of<InputError>(
        [&] { write_token_file(folder / "t", tokens, vocabulary, width); });
  };
  EXPECT_TRUE(has(write(65537, 2), "65537") && has(write(65537, 2), "4 bytes"));
  EXPECT_TRUE(has(write(100, 3), "width"));
  EXPECT_TRUE(has(write(0, 2), "vocabulary"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(TokenFile, NoticesEveryKindOfDamage) {
  const TemporaryFolder folder;
  write_token_file(folder / "good", some_tokens(600'000, 1000), 1000, 2);
  const std::string good = read_text_file(folder / "good");
  ASSERT_EQ(complaint(folder, good), "");
  const auto says = [&](const std::string& bytes, const std::string& part) {
    const std::string text = complaint(folder, bytes);
    EXPECT_TRUE(has(text, part)) << "'" << text << "' should say '" << part << "'";
  };
  says(good.substr(0, 500), "500 bytes");
  says(good.substr(0, good.size() - 1), std::to_string(good.size() - 1) + " bytes");
  says(good.substr(0, 1024), "600000 tokens");
  says(good + "x", "size");
  says(with(good, 8, std::uint32_t{2}), "version");
  says(with(good, 12, std::uint32_t{3}), "width");
  says(with(good, 16, std::uint64_t{600'001}), "600001 tokens");
  says(with(good, 16, ~std::uint64_t{0}), "18446744073709551615 tokens");
  // A count whose size in bytes is the right one modulo 2^64.
  says(with(good, 16, (std::uint64_t{1} << 63) + 600'000), "9223372036855375808 tokens");
  says(with(good, 24, std::uint64_t{0}), "vocabulary");
  says(with(good, 24, std::uint64_t{65537}), "65537");
  says(with(good, 64, std::uint64_t{4096}), "4096");
  says(with(good, 700, std::uint8_t{1}, false), "header");
  says(with(good, 1024, std::uint8_t{0xEE}), "block 0 of 2");
  says(with(good, 1024 + (1 << 20), std::uint8_t{0xEE}), "block 1 of 2");
  says(with(good, good.size() - 1, static_cast<std::uint8_t>(~good.back())), "block 1 of 2");
}

TEST(TokenFile, ChecksumsDoNotExcuseATokenOutsideTheVocabulary) {
  const TemporaryFolder folder;
  const std::vector<std::int32_t> tokens = {3, 7, 50, 2};
  write_token_file(folder / "good", tokens, 51, 2);
  const std::string lying = with(read_text_file(folder / "good"), 24, std::uint64_t{50});
  const std::string text = complaint(folder, lying);
  EXPECT_TRUE(has(text, "50 at position 2")) << text;
}

TEST(TokenFile, KnowsItsVocabularyButMayBePadded) {
  const TemporaryFolder folder;
  write_token_file(folder / "t", some_tokens(10, 100), 100, 4);
  EXPECT_EQ(TokenSource(folder / "t", 128).vocabulary(), 128);
  const std::string text = message_of<InputError>([&] { TokenSource(folder / "t", 99); });
  EXPECT_TRUE(has(text, "--vocab 99") && has(text, "100") && has(text, folder / "t")) << text;
}

TEST(TokenFile, ADamagedBlockIsNoticedWhenItIsFirstRead) {
  const TemporaryFolder folder;
  write_token_file(folder / "good", some_tokens(1'200'000, 1000), 1000, 2);
  const std::string damaged =
      with(read_text_file(folder / "good"), 1024 + (1 << 20) + 9, std::uint8_t{2});
  const TokenSource source(folder.file("bad", damaged));
  std::vector<std::int32_t> tokens(1000);
  source.copy(0, 1000, tokens.data());
  source.copy(524'288 - 1000, 1000, tokens.data());
  source.copy(1'199'000, 1000, tokens.data());
  for (const std::int64_t offset : {524'287, 700'000, 524'287}) {
    const std::string text =
        message_of<DataError>([&] { source.copy(offset, 1000, tokens.data()); });
    EXPECT_TRUE(has(text, "block 1 of 3") && has(text, folder / "bad")) << offset << text;
  }
}

/// The file takes no room on the disk, and of its 8 GiB only two blocks are read.
TEST(TokenFile, IndexesPastFourBillionTokens) {
  const TemporaryFolder folder;
  const std::string path = folder.file("large", "");
  TokenFileHeader header;
  header.count = (std::uint64_t{1} << 32) + 600'000;
  header.vocabulary = 1000;
  try {
    std::filesystem::resize_file(path, header.file_bytes());
  } catch (const std::filesystem::filesystem_error&) {
    GTEST_SKIP() << "this file system has no sparse files";
  }
  const auto put = [&](std::uint64_t at, const void* bytes, std::size_t size) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at))
        .write(static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
  };
  const auto head = header.encode();
  put(0, head.data(), head.size());
  const std::uint64_t position = (std::uint64_t{1} << 32) - 3;
  std::vector<std::uint16_t> block(1 << 19), next(1 << 19);
  for (std::uint16_t i = 0; i < 3; ++i) {
    block[block.size() - 3 + i] = static_cast<std::uint16_t>(100 + i);
    next[i] = static_cast<std::uint16_t>(200 + i);
  }
  put(1024 + 2 * position, &block[block.size() - 3], 6);
  put(1024 + 2 * (position + 3), next.data(), 6);
  const std::uint32_t sums[] = {crc32c(block.data(), 1 << 20), crc32c(next.data(), 1 << 20)};
  put(1024 + header.token_bytes() + 4 * ((position >> 19)), sums, sizeof sums);

  const TokenSource source(path);
  source.verify();  // leaves so large a file to the reading of its blocks
  EXPECT_EQ(source.size(), static_cast<std::int64_t>(header.count));
  std::vector<std::int32_t> tokens(7);
  source.copy(static_cast<std::int64_t>(position), 7, tokens.data());
  EXPECT_EQ(tokens, (std::vector<std::int32_t>{100, 101, 102, 200, 201, 202, 0}));
}

TEST(TokenFile, WithoutTokensIsAnError) {
  const TemporaryFolder folder;
  write_token_file(folder / "t", {}, 100, 2);
  const std::string text = message_of<InputError>([&] { TokenSource(folder / "t"); });
  EXPECT_TRUE(has(text, "no tokens") && has(text, folder / "t")) << text;
}

}  // namespace
}  // namespace cllm
