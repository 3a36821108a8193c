// Text, llm.c shards and headerless tokens are opened as what they are, or refused with a reason.
#include "data/token_source.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "cllm/error.h"
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

template <class T>
std::string bytes_of(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}

std::string llmc_header(std::int32_t magic, std::int32_t version, std::int32_t count) {
  std::vector<std::int32_t> header(256, 0);
  header[0] = magic;
  header[1] = version;
  header[2] = count;
  return bytes_of(header);
}

std::string llmc_shard(const Tokens& tokens, std::int32_t version, std::int32_t count) {
  return llmc_header(20240520, version, count) + uint16_bytes(tokens);
}

std::string llama_shard(const Tokens& tokens, std::int32_t version, std::int32_t count) {
  return llmc_header(20240801, version, count) + bytes_of(tokens);
}

/// As numpy.save writes it, but for the alignment.
std::string npy(const std::string& type, const std::string& shape, const std::string& data,
                char version = 1) {
  const std::string header =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }      \n";
  std::string bytes = "\x93NUMPY";
  bytes += {version, '\0', static_cast<char>(header.size()), '\0'};
  if (version > 1) bytes += std::string(2, '\0');
  return bytes + header + data;
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

TEST(Text, IsNotLoaded) {
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

TEST(Llmc, ReadsShardsOf32BitTokens) {
  const TemporaryFolder folder;
  const Tokens tokens = {128000, 0, 7, 70000, 65536};
  const TokenSource source(folder.file("shard.bin", llama_shard(tokens, 7, 5)));
  EXPECT_EQ(all_of(source), tokens);
  EXPECT_EQ(source.vocabulary(), 0);
  EXPECT_EQ(source.largest_token(), 128000);
  EXPECT_STREQ(source.kind(), "llm.c shard of 32-bit tokens");
  EXPECT_EQ(TokenSource(folder / "shard.bin", 128256).vocabulary(), 128256);
  const auto says = [&](const std::string& bytes, const std::string& part) {
    const std::string text = complaint(folder.file("bad.bin", bytes), 128256);
    EXPECT_TRUE(has(text, part)) << "'" << text << "' should say '" << part << "'";
  };
  says(llama_shard(tokens, 1, 5), "version");
  says(llama_shard(tokens, 7, 4), "4 tokens");
  says(llama_shard(tokens, 7, 5) + "x", "21 bytes");
  says(llama_shard({5, 128256}, 7, 2), "128256 at position 1");
  says(llama_shard({5, -1}, 7, 2), "4294967295 at position 1");
}

TEST(Llmc, RefusesItsOtherFilesByName) {
  const TemporaryFolder folder;
  const std::pair<std::int32_t, const char*> files[] = {
      {20240326, "model of llm.c"},          {20240327, "debug state of llm.c"},
      {20240328, "tokenizer of llm.c"},      {20240522, "evaluation file of llm.c"},
      {20240527, "training state of llm.c"}, {20240803, "Llama 3 model of llm.c"}};
  for (const auto& [magic, name] : files) {
    const std::string path =
        folder.file("file.bin", llmc_header(magic, 3, 1024) + std::string(4000, '\1'));
    const std::string text = complaint(path, 50257);
    EXPECT_TRUE(has(text, name) && has(text, "20240520")) << text;
  }
}

TEST(Vocabulary, Of16BitTokensIsAtMost65536) {
  const TemporaryFolder folder;
  const Tokens tokens = {1, 2, 3};
  for (const std::string& path :
       {folder.file("a.bin", uint16_bytes(tokens)), folder.file("b.bin", llmc_shard(tokens, 1, 3)),
        folder.file("c.npy", npy("<u2", "(3,)", uint16_bytes(tokens)))}) {
    EXPECT_EQ(TokenSource(path, 65536).vocabulary(), 65536) << path;
    const std::string text = complaint(path, 65537);
    EXPECT_TRUE(has(text, "--vocab 65537") && has(text, "16 bits") && has(text, "65536")) << text;
  }
}

TEST(Numpy, ReadsOneRowOfIntegers) {
  const TemporaryFolder folder;
  const Tokens tokens = {50256, 0, 7, 300};
  const std::vector<std::int64_t> longs(tokens.begin(), tokens.end());
  const auto read = [&](const std::string& bytes) {
    const TokenSource source(folder.file("ids.npy", bytes));
    EXPECT_STREQ(source.kind(), "NumPy tokens");
    EXPECT_EQ(source.largest_token(), 50256);
    EXPECT_EQ(source.vocabulary(), 0);
    return all_of(source);
  };
  for (const char version : {'\1', '\2', '\3'}) {
    EXPECT_EQ(read(npy("<u2", "(4,)", uint16_bytes(tokens), version)), tokens) << int{version};
  }
  EXPECT_EQ(read(npy("<u4", "(4,)", bytes_of(tokens))), tokens);
  EXPECT_EQ(read(npy("<i4", "(4,)", bytes_of(tokens))), tokens);
  EXPECT_EQ(read(npy("<i8", "(4,)", bytes_of(longs))), tokens);
  EXPECT_EQ(read(npy("<u8", "(4,)", bytes_of(longs))), tokens);
}

TEST(Numpy, RefusesOtherArrays) {
  const TemporaryFolder folder;
  const auto says = [&](const std::string& bytes, const std::string& part,
                        std::int64_t vocabulary = 0) {
    const std::string text = complaint(folder.file("ids.npy", bytes), vocabulary);
    EXPECT_TRUE(has(text, part)) << "'" << text << "' should say '" << part << "'";
  };
  const std::string eight(8, '\1');
  says(npy("<f4", "(2,)", eight), "'<f4'");
  says(npy(">u2", "(4,)", eight), "'>u2'");
  says(npy("|u1", "(8,)", eight), "'|u1'");
  says(npy("|O", "(1,)", eight), "'|O'");
  says(npy("<u2", "(2, 2)", eight), "shape (2,2)");
  says(npy("<u2", "()", eight), "one dimension");
  says(npy("<u2", "(5,)", eight), "8 bytes after the header");
  says(npy("<u2", "(3,)", eight), "3 tokens");
  says(npy("<u2", "(99999999999999999999999,)", eight), "shape");
  says(npy("<u2", "(0,)", ""), "no tokens");
  says(npy("<u2", "(4,)", eight, 9), "version 9");
  says(std::string("\x93NUMPY\1\0\xFF\xFF{", 11), "header");
  says(std::string("\x93NUMPY"), "header");
  says(npy("<i4", "(2,)", bytes_of(Tokens{5, -3})), "-3 at position 1");
  says(npy("<i2", "(2,)", uint16_bytes({5, 0xFFFF})), "-1 at position 1", 65536);
  says(npy("<i8", "(2,)", bytes_of(std::vector<std::int64_t>{5, std::int64_t{1} << 32})),
       "4294967296 at position 1", 50257);
}

TEST(Headerless, RefusesIdsOf32And64Bits) {
  const TemporaryFolder folder;
  Tokens ids;
  for (int i = 0; i < 1000; ++i) ids.push_back(i * 7919 % 50257);
  const std::vector<std::int64_t> longs(ids.begin(), ids.end());
  const auto complains = [&](const std::string& bytes) {
    return complaint(folder.file("train.bin", bytes), 50257);
  };
  std::string text = complains(bytes_of(ids));
  EXPECT_TRUE(has(text, "ids of 32 bits") && has(text, "uint32") && has(text, ".npy")) << text;
  text = complains(bytes_of(longs));
  EXPECT_TRUE(has(text, "ids of 64 bits") && has(text, "int64")) << text;
  for (std::int32_t& id : ids) id *= 2;  // beyond 65535, as of Llama 3
  text = complains(bytes_of(ids));
  EXPECT_TRUE(has(text, "ids of 32 bits")) << text;
  // Few different tokens, or the same one all the time, are what they are.
  EXPECT_NO_THROW(TokenSource(folder.file("dna.bin", uint16_bytes(Tokens(999, 3))), 4));
  Tokens dna;
  for (int i = 0; i < 1000; ++i) dna.push_back(i * i % 7 % 4);
  EXPECT_NO_THROW(TokenSource(folder.file("dna.bin", uint16_bytes(dna)), 4));
}

TEST(Headerless, RefusesText) {
  const TemporaryFolder folder;
  std::string words;
  for (int i = 0; i < 40; ++i) words += "so wie die Müller\n";
  const std::string text = complaint(folder.file("input.bin", words), 50257);
  EXPECT_TRUE(has(text, "is text") && has(text, ".txt")) << text;
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

TEST(Open, NamesForeignFilesAndSaysWhatToDo) {
  const TemporaryFolder folder;
  const std::string zip = "PK\x03\x04 and so on";
  for (const char* name : {"book.txt", "book.docx", "book", "book.bin"}) {
    const std::string text = complaint(folder.file(name, zip), 50257);
    EXPECT_TRUE(has(text, "zip archive") && has(text, "unpack")) << text;
  }
  const std::string utf16("\xFF\xFEh\0i\0", 6);
  EXPECT_TRUE(has(complaint(folder.file("a.txt", utf16)), "iconv -f UTF-16"));
  EXPECT_NO_THROW(TokenSource(folder.file("a.bin", utf16), 65536)) << "a token can be 0xFEFF";
}

TEST(Open, CaseFilesAreReadOrRefused) {
  const std::string cases = CLLM_SOURCE_DIR "/../shared/cases/";
  const std::string llama = cases + "01-llmc-llama3-shard/train_llama.bin";
  if (!std::filesystem::exists(llama)) GTEST_SKIP() << "without " << cases;
  EXPECT_EQ(TokenSource(llama, 128256).size(), 4000);
  EXPECT_GT(TokenSource(llama).largest_token(), 65535);
  EXPECT_EQ(TokenSource(cases + "03-npy-shard/edu_train_000001.npy", 50257).size(), 6000);
  EXPECT_TRUE(has(complaint(cases + "06-encodings/utf16.txt"), "iconv"));
}

TEST(Copy, SeesNoTokenOutsideTheVocabularyWhateverTheFileHoldsByNow) {
  const TemporaryFolder folder;
  const std::string path = folder.file("train.bin", uint16_bytes({5, 6, 7, 8}));
  const TokenSource source(path, 10);
  Tokens tokens(4);
  source.copy(0, 4, tokens.data());
  folder.file("train.bin", uint16_bytes({5, 6, 700, 8}));
  source.copy(0, 2, tokens.data());
  const std::string text = message_of<DataError>([&] { source.copy(1, 3, tokens.data()); });
  EXPECT_TRUE(has(text, "700 at position 2") && has(text, path) && has(text, "below 10")) << text;
}

TEST(Copy, SaysThatTheFileWasCut) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.txt", std::string(100'000, 'a'));
  const TokenSource source(path);
  std::filesystem::resize_file(path, 50'000);
  Tokens tokens(100);
  source.copy(49'900, 100, tokens.data());
  const std::string text = message_of<DataError>([&] { source.copy(49'950, 100, tokens.data()); });
  EXPECT_TRUE(has(text, "cut") && has(text, "50000") && has(text, path)) << text;
}

TEST(Copy, NeedsNoNameAnyMore) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.txt", "abc");
  TokenSource source(path);
  source.watch();
  std::filesystem::remove(path);
  EXPECT_EQ(all_of(source), (Tokens{97, 98, 99}));
  EXPECT_NO_THROW(source.check_unchanged());
}

TEST(Notes, SayWhatIsOddAboutAText) {
  const TemporaryFolder folder;
  const auto notes = [&](const std::string& bytes, std::int64_t vocabulary = 0) {
    std::string all;
    for (const std::string& note : TokenSource(folder.file("a.txt", bytes), vocabulary).notes()) {
      all += note + "\n";
    }
    return all;
  };
  EXPECT_EQ(notes("To be, or n\u00f6t\n"), "");
  EXPECT_EQ(notes("To be", 257), "");
  EXPECT_TRUE(has(notes("To be", 50257), "--vocab 50257"));
  EXPECT_TRUE(has(notes("\xEF\xBB\xBFTo be"), "byte-order mark"));
  EXPECT_TRUE(has(notes("a<|endoftext|>b<|endoftext|>"), "2 times"));
  EXPECT_TRUE(has(notes("a<|endoftext|>"), "1 time and is read as the 13 bytes"));
  EXPECT_TRUE(has(notes(std::string(100, '\xE4') + "hnlich"), "not in UTF-8"));
  EXPECT_TRUE(has(notes(std::string(50, '\0') + "x"), "NUL"));
  EXPECT_TRUE(has(notes(std::string(50, '\1') + "x"), "control characters"));
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
