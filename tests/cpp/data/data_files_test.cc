// A name of data stands for a file, the files of a folder or a pattern, or a data set; what it
// cannot stand for is refused.
#include "data/data_files.h"

#include <gtest/gtest.h>

#include <functional>

#include "cllm/error.h"
#include "data/token_source.h"
#include "data_set_folder.h"
#include "has.h"
#include "temporary_folder.h"

namespace cllm {
namespace {

using Tokens = DataSetText::Tokens;

Tokens all_of(const TokenSource& source) {
  Tokens tokens(static_cast<std::size_t>(source.size()));
  source.copy(0, source.size(), tokens.data());
  return tokens;
}

class DataFilesTest : public testing::Test {
 protected:
  std::vector<std::string> paths(std::initializer_list<const char*> names) const {
    std::vector<std::string> all;
    for (const char* name : names) all.push_back(folder_ / name);
    return all;
  }

  const TemporaryFolder folder_;
};

TEST_F(DataFilesTest, AFileIsItself) {
  const DataFiles files = find_data_files(folder_.file("[1]*.txt", "text"));
  EXPECT_EQ(files.train, paths({"[1]*.txt"})) << "although its name is a pattern too";
  EXPECT_TRUE(files.validation.empty());
}

TEST_F(DataFilesTest, AFolderOfTokenFilesHasAPartThatValidates) {
  for (const char* name : {"fineweb_val_000000.bin", "fineweb_train_000002.bin", "notes.txt",
                           "fineweb_train_000001.bin", "interval.bin"}) {
    folder_.file(name, "tokens");
  }
  const DataFiles files = find_data_files(folder_.path());
  EXPECT_EQ(files.train,
            paths({"fineweb_train_000001.bin", "fineweb_train_000002.bin", "interval.bin"}));
  EXPECT_EQ(files.validation, paths({"fineweb_val_000000.bin"}));
}

TEST_F(DataFilesTest, APatternIsTheFilesThatMatch) {
  for (const char* name : {"b.txt", "a.txt", "c.md"}) folder_.file(name, "text");
  std::filesystem::create_directory(folder_ / "d.txt");
  EXPECT_EQ(find_data_files(folder_ / "*.txt").train, paths({"a.txt", "b.txt"}));
  EXPECT_TRUE(data_is_there(folder_ / "[ab].txt"));
  EXPECT_FALSE(data_is_there(folder_ / "[xy].txt"));
  const std::string text = message_of<InputError>([&] { find_data_files(folder_ / "x*"); });
  EXPECT_TRUE(has(text, "no file matches") && has(text, folder_ / "x*")) << text;
}

TEST_F(DataFilesTest, AFolderOfTextsSaysHowToPrepareIt) {
  folder_.file("a.txt", "text");
  const std::string text = message_of<InputError>([&] { find_data_files(folder_.path()); });
  EXPECT_TRUE(has(text, "cllm prepare")) << text;
}

TEST_F(DataFilesTest, ADataSetIsWhatItsDescriptionSays) {
  DataSetText text;
  text.train = {DataSetText::squares(50), DataSetText::squares(7)};
  text.validation = {DataSetText::squares(9)};
  text.write(folder_ / "set");
  folder_.file("set/stray.bin", "x");
  const DataFiles files = find_data_files(folder_ / "set");
  EXPECT_EQ(files.train, paths({"set/train-00000.bin", "set/train-00001.bin"}));
  EXPECT_EQ(files.validation, paths({"set/val-00000.bin"}));
  ASSERT_TRUE(files.set.has_value());
  EXPECT_EQ(files.set->end_of_text, 299);
  EXPECT_EQ(files.set->tokenizer_sha256, hex(sha256(text.tokenizer)));
  const TokenSource source = open_files(files, files.train, 0);
  EXPECT_EQ(source.tokenizer(), files.set->tokenizer_sha256);
  EXPECT_EQ(source.size(), 57);
  EXPECT_EQ(source.bytes(), 114);
  EXPECT_FALSE(source.is_bytes());
}

TEST_F(DataFilesTest, ShardsOfAnotherTokenizerAreRefused) {
  DataSetText text;
  text.train = {DataSetText::squares(50)};
  text.write(folder_ / "set");
  DataFiles files = find_data_files(folder_ / "set");
  files.set->tokenizer_sha256 = std::string(64, 'a');
  const std::string said = message_of<InputError>([&] { open_files(files, files.train, 0); });
  EXPECT_TRUE(has(said, "tokenizer") && has(said, "aaaa") && has(said, folder_ / "set")) << said;
}

TEST_F(DataFilesTest, OfBytesTheIdsAreBytes) {
  DataSetText text;
  text.kind = "bytes";
  text.vocabulary = 257;
  text.end_of_text = 256;
  text.train = {DataSetText::squares(50, 257)};
  text.write(folder_ / "set");
  const DataFiles files = find_data_files(folder_ / "set");
  EXPECT_TRUE(open_files(files, files.judged(), 0).is_bytes());
  EXPECT_FALSE(TokenSource(folder_ / "set/train-00000.bin").is_bytes());
}

TEST_F(DataFilesTest, ADescriptionThatCannotBeIsRefused) {
  DataSetText text;
  text.train = {DataSetText::squares(50)};
  const nlohmann::json good = text.write_files(folder_ / "set");
  using Change = std::function<void(nlohmann::json&)>;
  const std::pair<const char*, Change> cases[] = {
      {"format", [](auto& j) { j["format"] = "other"; }},
      {"format", [](auto& j) { j.erase("format"); }},
      {"format", [](auto& j) { j = nlohmann::json::array(); }},
      {"version", [](auto& j) { j["version"] = 3; }},
      {"version", [](auto& j) { j["version"] = "1"; }},
      {"tokenizer", [](auto& j) { j.erase("tokenizer"); }},
      {"kind", [](auto& j) { j["tokenizer"]["kind"] = 5; }},
      {"kind", [](auto& j) { j["tokenizer"] = "bytes"; }},
      {"vocabulary", [](auto& j) { j["tokenizer"]["vocabulary"] = 0; }},
      {"vocabulary", [](auto& j) { j["tokenizer"]["vocabulary"] = 1e9; }},
      {"vocabulary", [](auto& j) { j["tokenizer"]["vocabulary"] = ~std::uint64_t{0}; }},
      {"vocabulary", [](auto& j) { j["tokenizer"]["kind"] = "bytes"; }},
      {"end_of_text", [](auto& j) { j["tokenizer"]["end_of_text"] = 300; }},
      {"sha256", [](auto& j) { j["tokenizer"]["sha256"] = "abc"; }},
      {"files", [](auto& j) { j["tokenizer"]["files"] = nullptr; }},
      {"files", [](auto& j) { j["tokenizer"]["files"]["../x"] = std::string(64, 'a'); }},
      {"files", [](auto& j) { j["tokenizer"]["files"]["x"] = 1; }},
      {"train", [](auto& j) { j["train"]["files"] = nlohmann::json::array(); }},
      {"files", [](auto& j) { j["train"]["files"] = "train-00000.bin"; }},
      {"file", [](auto& j) { j["train"]["files"][0] = "train-00000.bin"; }},
      {"file", [](auto& j) { j["train"]["files"][0]["file"] = "../train-00000.bin"; }},
      {"file", [](auto& j) { j["train"]["files"][0]["file"] = ""; }},
      {"val", [](auto& j) { j.erase("val"); }},
  };
  for (const auto& [key, change] : cases) {
    nlohmann::json bad = good;
    change(bad);
    DataSetText::file(folder_ / "set", "dataset.json", bad.dump());
    const std::string said = message_of<InputError>([&] { find_data_files(folder_ / "set"); });
    EXPECT_TRUE(has(said, key) && has(said, "dataset.json")) << bad.dump() << "\n" << said;
  }
  DataSetText::file(folder_ / "set", "dataset.json", "{\"format\": ");
  EXPECT_TRUE(has(message_of<InputError>([&] { find_data_files(folder_ / "set"); }), "not JSON"));
}

/// A data set of very many texts, and a description that is made to harm.
TEST_F(DataFilesTest, WhatItDoesNotNeedCostsNothing) {
  DataSetText text;
  text.train = {DataSetText::squares(50)};
  nlohmann::json all = text.write_files(folder_ / "set");
  for (int i = 0; i < 20'000; ++i) all["sources"].push_back({{"path", std::to_string(i)}});
  std::string dumped = all.dump();
  dumped.back() = ',';
  dumped += "\"deep\": " + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  DataSetText::file(folder_ / "set", "dataset.json", dumped);
  EXPECT_EQ(find_data_files(folder_ / "set").train.size(), 1u);
}

TEST_F(DataFilesTest, SeveralFilesReadAsOne) {
  const Tokens whole = DataSetText::squares(1000);
  std::vector<std::string> files;
  for (std::size_t begin = 0, size = 1; begin < whole.size(); begin += size, size = 3 * size) {
    files.push_back(folder_ / std::to_string(begin));
    const std::size_t count = std::min(size, whole.size() - begin);
    write_token_file(files.back(), {whole.data() + begin, count}, 300, 2);
  }
  const TokenSource source("all", files, 0, false);
  ASSERT_EQ(source.size(), 1000);
  EXPECT_EQ(source.files(), files.size());
  for (std::int64_t begin = 0; begin < 60; ++begin) {
    for (const std::int64_t count : {0, 1, 2, 5, 40, 900}) {
      Tokens some(static_cast<std::size_t>(count));
      source.copy(begin, count, some.data());
      EXPECT_TRUE(std::equal(some.begin(), some.end(), whole.begin() + begin)) << begin;
    }
  }
  EXPECT_EQ(all_of(source), whole);
}

TEST_F(DataFilesTest, FilesThatDoNotBelongTogetherAreRefused) {
  const Tokens tokens = DataSetText::squares(9);
  write_token_file(folder_ / "a", {tokens.data(), 9}, 300, 2);
  TokenFileWriter other(folder_ / "b", 300, 2, sha256("another tokenizer"));
  other.append({tokens.data(), 9});
  other.finish();
  const auto complaint = [&](std::initializer_list<const char*> names) {
    return message_of<InputError>([&] { TokenSource("all", paths(names), 0, false); });
  };
  EXPECT_TRUE(has(complaint({"a", "b"}), "different tokenizers")) << complaint({"a", "b"});
  folder_.file("c", "some text");
  EXPECT_TRUE(has(complaint({"c", "a"}), "different kinds")) << complaint({"c", "a"});
}

TEST_F(DataFilesTest, TheFingerprintOfSeveralNamesAllBytesAndTheirOrder) {
  folder_.file("a", "first");
  folder_.file("b", "second");
  const auto print = [&](std::initializer_list<const char*> names) {
    TokenSource source("all", paths(names), 0, false);
    source.watch();
    return source.fingerprint();
  };
  const DataFingerprint both = print({"a", "b"});
  EXPECT_EQ(both.size, 11u);
  EXPECT_EQ(both.sha256.size(), 64u);
  EXPECT_EQ(print({"a", "b"}), both);
  EXPECT_NE(print({"b", "a"}), both);
  TokenSource source("all", paths({"a", "b"}), 0, false);
  source.watch();
  EXPECT_TRUE(source.matches(both));
  EXPECT_FALSE(source.matches(print({"b", "a"})));
  EXPECT_FALSE(source.matches(print({"a"})));
  folder_.file("b", "s3cond");
  EXPECT_THROW(source.check_unchanged(), DataError);
}

}  // namespace
}  // namespace cllm
