// The public writer and reader of token files: what is written is what training reads.
#include "cllm/token_files.h"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"
#include "cllm/error.h"
#include "data/token_source.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

TEST(TokenFiles, AreReadAsTheyWereWritten) {
  const TemporaryFolder folder;
  for (const int width : {2, 4}) {
    const std::string path = folder / "tokens.bin";
    std::array<std::uint8_t, 32> tokenizer{};
    tokenizer[31] = 7;
    TokenWriter writer(path, 60000, width, tokenizer);
    std::vector<std::int32_t> tokens(700000);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = static_cast<std::int32_t>(i * 7919 % 60000);
    }
    writer.append(tokens.data(), 5);
    writer.append(tokens.data() + 5, tokens.size() - 5);
    EXPECT_FALSE(std::filesystem::exists(path));
    writer.finish(123);
    EXPECT_THROW(writer.append(tokens.data(), 1), Error);
    EXPECT_THROW(writer.finish(), Error);

    const TokenFileInfo info = read_token_file(path, true);
    EXPECT_EQ(info.tokens, 700000);
    EXPECT_EQ(info.vocabulary, 60000);
    EXPECT_EQ(info.width, width);
    EXPECT_EQ(info.text_bytes, 123);
    EXPECT_EQ(info.tokenizer, tokenizer);
    std::vector<std::int32_t> found(tokens.size());
    const TokenSource source(path, 0);
    ASSERT_EQ(source.size(), info.tokens);
    source.copy(0, source.size(), found.data());
    EXPECT_EQ(found, tokens);
    std::filesystem::remove(path);
  }
}

TEST(TokenFiles, OtherFilesAndDamageAreNamed) {
  const TemporaryFolder folder;
  const std::string text = folder.file("text.txt", "words");
  EXPECT_TRUE(has(message_of<InputError>([&] { read_token_file(text, false); }), text));
  const std::string path = folder / "tokens.bin";
  const std::int32_t tokens[] = {1, 2, 3};
  TokenWriter writer(path, 4, 2);
  writer.append(tokens, 3);
  writer.finish();
  std::string bytes = read_text_file(path);
  bytes[1024] ^= 1;
  const std::string damaged = folder.file("damaged.bin", bytes);
  EXPECT_EQ(read_token_file(damaged, false).tokens, 3);
  EXPECT_TRUE(has(message_of<InputError>([&] { read_token_file(damaged, true); }), "checksum"));
}

TEST(TokenFiles, NothingAppearsThatIsNotFinished) {
  const TemporaryFolder folder;
  const std::string path = folder / "tokens.bin";
  {
    TokenWriter writer(path, 4, 2);
    const std::int32_t bad = 4;
    EXPECT_THROW(writer.append(&bad, 1), InputError);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace cllm
