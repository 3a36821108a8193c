// Text, llm.c shards and headerless tokens: what is opened as what, and what is refused and how.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "cllm/error.h"
#include "data/token_source.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

using Tokens = std::vector<std::int32_t>;

Tokens all_of(const TokenSource& source) {
  Tokens tokens(static_cast<std::size_t>(source.size()));
  source.copy(0, source.size(), tokens.data());
  return tokens;
}

std::string uint16_bytes(const Tokens& tokens) {
  std::string bytes;
  for (const std::int32_t token : tokens) {
    bytes += static_cast<char>(token & 0xFF);
    bytes += static_cast<char>(token >> 8);
  }
  return bytes;
}

std::string llmc_shard(const Tokens& tokens, std::int32_t version, std::int32_t count) {
  std::vector<std::int32_t> header(256, 0);
  header[0] = 20240520;
  header[1] = version;
  header[2] = count;
  std::string bytes(1024, '\0');
  std::memcpy(bytes.data(), header.data(), 1024);
  return bytes + uint16_bytes(tokens);
}

/// What the InputError says; it always names the file.
std::string complaint(const std::string& path, std::int64_t vocabulary = 0) {
  const std::string text = message_of<InputError>([&] { TokenSource(path, vocabulary); });
  EXPECT_TRUE(has(text, path)) << "'" << text << "' should name " << path;
  return text;
}

TEST(Text, IsItsOwnBytes) {
  const TemporaryFolder folder;
  const TokenSource source(folder.file("a.txt", std::string("a\0\xff\n", 4)));
  EXPECT_EQ(all_of(source), (Tokens{97, 0, 255, 10}));
  EXPECT_EQ(source.vocabulary(), 257);
  EXPECT_EQ(source.bytes(), 4);
  EXPECT_TRUE(source.is_bytes());
  EXPECT_STREQ(source.kind(), "text");
  Tokens middle(2);
  source.copy(1, 2, middle.data());
  EXPECT_EQ(middle, (Tokens{0, 255}));
}

TEST(Text, IsMappedAndNotLoaded) {
  const TemporaryFolder folder;
  const std::string path = folder / "sparse.txt";
  folder.file("sparse.txt", "x");
  constexpr std::int64_t kSize = std::int64_t{1} << 38;  // more than a test machine's memory
  std::error_code refused;
  std::filesystem::resize_file(path, static_cast<std::uintmax_t>(kSize), refused);
  if (refused) GTEST_SKIP() << "no sparse files here: " << refused.message();
  const TokenSource source(path);
  EXPECT_EQ(source.size(), kSize);
  std::int32_t last = -1;
  source.copy(source.size() - 1, 1, &last);
  EXPECT_EQ(last, 0);
}

TEST(Text, SurvivesAMove) {
  const TemporaryFolder folder;
  TokenSource first(folder.file("a.txt", "abc"));
  const TokenSource second = std::move(first);
  EXPECT_EQ(all_of(second), (Tokens{97, 98, 99}));
}

TEST(Text, TakesALargerVocabularyButNotASmallerOne) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.txt", "abc");
  EXPECT_EQ(TokenSource(path, 320).vocabulary(), 320);
  const std::string text = complaint(path, 128);
  EXPECT_TRUE(has(text, "--vocab 128") && has(text, "257")) << text;
}

TEST(Llmc, ReadsAShardWhateverItsName) {
  const TemporaryFolder folder;
  const Tokens tokens = {50256, 0, 7, 65535};
  for (const char* name : {"shard.bin", "shard"}) {
    const TokenSource source(folder.file(name, llmc_shard(tokens, 1, 4)));
    EXPECT_EQ(all_of(source), tokens);
    EXPECT_EQ(source.vocabulary(), 0);
    EXPECT_EQ(source.largest_token(), 65535);
    EXPECT_EQ(source.bytes(), 0);
    EXPECT_STREQ(source.kind(), "llm.c shard");
  }
  EXPECT_EQ(TokenSource(folder / "shard.bin", 65536).vocabulary(), 65536);
}

TEST(Llmc, RefusesWhatIsDamaged) {
  const TemporaryFolder folder;
  const auto says = [&](const std::string& bytes, const std::string& part) {
    const std::string text = complaint(folder.file("shard.bin", bytes), 100);
    EXPECT_TRUE(has(text, part)) << "'" << text << "' should say '" << part << "'";
  };
  const std::string good = llmc_shard({1, 2, 3}, 1, 3);
  says(good.substr(0, 1023), "1023 bytes");
  says(llmc_shard({1, 2, 3}, 7, 3), "version");
  says(llmc_shard({1, 2, 3}, 1, 4), "4 tokens");
  says(llmc_shard({1, 2, 3}, 1, 2), "2 tokens");
  says(llmc_shard({1, 2, 3}, 1, -1), "4294967295 tokens");
  says(good + "x", "7 bytes");
  says(llmc_shard({}, 1, 0), "no tokens");
  says(llmc_shard({1, 200, 3}, 1, 3), "200 at position 1");
}

TEST(Headerless, ReadsUint16TokensWithAVocabulary) {
  const TemporaryFolder folder;
  const TokenSource source(folder.file("train.bin", uint16_bytes({5, 50256, 0})), 50257);
  EXPECT_EQ(all_of(source), (Tokens{5, 50256, 0}));
  EXPECT_EQ(source.vocabulary(), 50257);
  EXPECT_STREQ(source.kind(), "uint16 tokens");
}

TEST(Headerless, AsksForTheVocabulary) {
  const TemporaryFolder folder;
  const std::string text = complaint(folder.file("train.bin", uint16_bytes({5, 6})));
  EXPECT_TRUE(has(text, "--vocab") && has(text, "uint16") && has(text, "without a header")) << text;
  EXPECT_TRUE(has(text, ".txt")) << "text under such a name needs a way out: " << text;
}

TEST(Headerless, RefusesAnOddNumberOfBytes) {
  const TemporaryFolder folder;
  const std::string text = complaint(folder.file("train.bin", "abc"), 70000);
  EXPECT_TRUE(has(text, "odd") && has(text, "3 bytes")) << text;
}

TEST(Headerless, NamesTheSmallestVocabularyThatWorks) {
  const TemporaryFolder folder;
  const std::string path = folder.file("train.bin", uint16_bytes({5, 99, 100, 6, 300, 2}));
  const std::string text = complaint(path, 100);
  EXPECT_TRUE(has(text, "100 at position 2") && has(text, "--vocab 301")) << text;
  EXPECT_NO_THROW(TokenSource(path, 301));
  EXPECT_TRUE(has(complaint(path, 300), "300 at position 4"));
}

TEST(Open, RefusesWhatHoldsNothing) {
  const TemporaryFolder folder;
  EXPECT_TRUE(has(complaint(folder.file("empty.txt", "")), "empty"));
  EXPECT_TRUE(has(complaint(folder.file("empty.bin", ""), 10), "empty"));
  EXPECT_TRUE(has(complaint(folder / "missing.txt"), "no such file"));
  EXPECT_TRUE(has(complaint(folder.path()), "folder"));
}

TEST(Open, RefusesAnImpossibleVocabulary) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.txt", "abc");
  for (const std::int64_t bad : {std::int64_t{-1}, std::int64_t{1} << 40}) {
    const std::string text = message_of<InputError>([&] { TokenSource(path, bad); });
    EXPECT_TRUE(has(text, "--vocab") && has(text, std::to_string(bad))) << text;
  }
}

}  // namespace
}  // namespace cllm
