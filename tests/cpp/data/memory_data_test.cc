// Data in memory reads as a file with the same bytes does, and is known again by its name.
#include "cllm/memory_data.h"

#include <gtest/gtest.h>

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

TEST(MemoryDataTest, TextIsWhatAFileOfItIs) {
  const TemporaryFolder folder;
  const std::string text = "To be,\nor not to be\x80";
  folder.file("text", text);
  TokenSource file(folder / "text"), memory(MemoryData::text(text, "data"));
  file.watch();
  memory.watch();
  EXPECT_EQ(all_of(memory), all_of(file));
  EXPECT_TRUE(memory.is_bytes());
  EXPECT_EQ(memory.vocabulary(), file.vocabulary());
  EXPECT_EQ(memory.fingerprint(), file.fingerprint());
  EXPECT_EQ(memory.notes().size(), file.notes().size());
  EXPECT_TRUE(memory.matches(file.fingerprint()));
  memory.check_unchanged();
  EXPECT_FALSE(memory.shares_file(file));
  EXPECT_FALSE(memory.shares_file(TokenSource(MemoryData::text(text, "data"))));
}

TEST(MemoryDataTest, EveryDocumentEnds) {
  const auto data = MemoryData::documents({"ab", "", "\xff"}, "data");
  const TokenSource source(data);
  EXPECT_EQ(all_of(source), (Tokens{'a', 'b', 256, 256, 255, 256}));
  EXPECT_TRUE(source.is_bytes());
  EXPECT_EQ(source.vocabulary(), 257);
  EXPECT_EQ(data->documents(), (std::vector<std::string>{"ab", "", "\xff"}));
}

TEST(MemoryDataTest, IdsSayTheirVocabulary) {
  const auto data = MemoryData::tokens({5, 70000, 0}, "data");
  const TokenSource source(data), padded(data, 80000);
  EXPECT_EQ(all_of(source), (Tokens{5, 70000, 0}));
  EXPECT_EQ(data->tokens(), all_of(source));
  EXPECT_FALSE(source.is_bytes());
  EXPECT_EQ(source.vocabulary(), 70001);
  EXPECT_EQ(padded.vocabulary(), 80000);
  EXPECT_TRUE(has(message_of<InputError>([&] { TokenSource(data, 70000); }), "70000"));
}

TEST(MemoryDataTest, EqualDataHaveEqualNames) {
  const auto one = MemoryData::text("ab", "data"), same = MemoryData::text("ab", "val");
  EXPECT_EQ(one->name, same->name);
  EXPECT_NE(one->name, MemoryData::text("ac", "data")->name);
  EXPECT_NE(one->name, MemoryData::documents({"ab"}, "data")->name);
  EXPECT_TRUE(MemoryData::is_name(one->name)) << one->name;
  EXPECT_FALSE(MemoryData::is_name("data/in memory (1).txt"));
  TrainConfig config;
  config.in_memory = {one};
  EXPECT_EQ(find_memory_data(config, same->name), one);
  EXPECT_EQ(find_memory_data(config, "ab"), nullptr);
}

TEST(MemoryDataTest, RefusesNothingAndNegativeIds) {
  EXPECT_TRUE(has(message_of<InputError>([] { MemoryData::text("", "val"); }), "val: "));
  EXPECT_TRUE(has(message_of<InputError>([] { MemoryData::documents({}, "data"); }), "data: "));
  EXPECT_TRUE(has(message_of<InputError>([] { MemoryData::tokens({}, "data"); }), "data: "));
  EXPECT_TRUE(has(message_of<InputError>([] { MemoryData::tokens({3, -4}, "data"); }), "data[1]"));
}

}  // namespace
}  // namespace cllm
