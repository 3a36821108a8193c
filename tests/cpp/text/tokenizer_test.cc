// A tokenizer.json becomes a tokenizer, or is refused with one line.
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cllm/error.h"
#include "has.h"
#include "temporary_folder.h"
#include "text/text_tokenizer.h"
#include "text/tokenizer_file.h"
#include "tokenizer_text.h"

namespace cllm {
namespace {

using Ids = std::vector<std::int32_t>;
using Json = nlohmann::json;

constexpr const char* kSplit = R"({"split_special_tokens": true})";

std::unique_ptr<TextTokenizer> made(const Json& json, const std::string& config = "") {
  return make_bpe_tokenizer(json.dump(), config, "tokenizer.json");
}
std::string complaint(const std::string& text) {
  return message_of<InputError>([&] { make_bpe_tokenizer(text, "", "FILE"); });
}
std::string text_of(const TextTokenizer& tokenizer, const Ids& ids) {
  const auto text = tokenizer.text();
  std::string all;
  for (const std::int32_t id : ids) all += text->add(id);
  return all + text->finish();
}

TEST(BpeTokenizer, MergesInTheOrderOfTraining) {
  const auto tokenizer = made(byte_level_json({"b c", "a b", "a bc", "ab c"}));
  EXPECT_EQ(tokenizer->encode("abc"), (Ids{258})) << "b c is earlier than a b";
  EXPECT_EQ(tokenizer->encode("abab"), (Ids{257, 257}));
  EXPECT_EQ(tokenizer->encode("aab"), (Ids{'a', 257}));
  EXPECT_EQ(tokenizer->encode(""), Ids{});
  EXPECT_EQ(tokenizer->known(), 259) << "abc is made in two ways";
}

TEST(BpeTokenizer, ALongWordTakesNoLongTime) {
  const auto tokenizer = made(byte_level_json({"a a", "aa aa", "aaaa aaaa"}));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(tokenizer->encode(std::string(1 << 20, 'a')).size(), std::size_t{1} << 17);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST(BpeTokenizer, AddedTokensAreFoundTheLongestFirst) {
  Json json = byte_level_json({});
  add_token(json, "<e>", true);
  add_token(json, "<e><e>", false);
  add_token(json, "e>", false);
  const auto tokenizer = made(json);
  EXPECT_EQ(tokenizer->encode("a<e><e><e>"), (Ids{'a', 257, 256}));
  EXPECT_EQ(tokenizer->encode("e>"), (Ids{258}));
  const auto split = made(json, kSplit);
  EXPECT_EQ(split->encode("<e>e>"), (Ids{'<', 'e', '>', 258})) << "nothing is found in a name";
  EXPECT_EQ(text_of(*tokenizer, {'a', 256, 257, 'b'}), "a<e><e>b") << "special ones have no text";
}

TEST(BpeTokenizer, TokensOfNormalizedTextAreFoundLast) {
  Json json = byte_level_json({});
  add_token(json, "abc", false, true);
  add_token(json, "bc", false, false);
  EXPECT_EQ(made(json)->encode("abcab"), (Ids{'a', 257, 'a', 'b'}));
}

TEST(BpeTokenizer, TextComesInWholeCharacters) {
  Json json = byte_level_json({});
  add_token(json, "<e>", true);
  const auto tokenizer = made(json);
  const auto text = tokenizer->text();
  EXPECT_EQ(text->add(0xE2), "");
  EXPECT_EQ(text->add(256), "") << "a special token is as if it were not there";
  EXPECT_EQ(text->add(0x82), "");
  EXPECT_EQ(text->add(0xAC), "\xE2\x82\xAC");
  EXPECT_EQ(text->add(0xE2), "");
  EXPECT_EQ(text->add(9999), "") << "nor is an id of nobody";
  EXPECT_EQ(text->finish(), "\xEF\xBF\xBD");
}

TEST(BpeTokenizer, RefusesTextThatItCannotRead) {
  Json json = byte_level_json({});
  EXPECT_TRUE(has(message_of<InputError>([&] { made(json)->encode("a\xFF"); }), "0xff"));
  json["normalizer"] = {{"type", "NFC"}};
  EXPECT_EQ(made(json)->encode("\xC3\xA9").size(), 2u);
  const std::string said = message_of<InputError>([&] { made(json)->encode("e\xCC\x81"); });
  EXPECT_TRUE(has(said, "U+0301") && has(said, "NFC")) << said;
}

TEST(BpeTokenizer, PutsTokensAroundEveryText) {
  Json json = byte_level_json({});
  json["post_processor"] = Json::parse(R"({"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "s", "type_id": 0}}, {"Sequence": {"id": "A"}},
               {"SpecialToken": {"id": "e", "type_id": 0}}],
    "special_tokens": {"s": {"id": "s", "ids": [1, 2]}, "e": {"id": "e", "ids": [3]}}})");
  EXPECT_EQ(made(json)->encode("x"), (Ids{1, 2, 'x', 3}));
}

TEST(BpeTokenizer, ReadsCharactersWithoutLetters) {
  Json json = byte_level_json({});
  json["pre_tokenizer"] = nullptr;
  json["decoder"] = {{"type", "Fuse"}};
  json["model"]["vocab"] = {{" ", 0}, {"\xE2\x82\xAC", 1}};
  const auto tokenizer = made(json);
  EXPECT_EQ(tokenizer->encode("\xE2\x82\xAC x "), (Ids{1, 0, 0})) << "x has no token";
  EXPECT_EQ(text_of(*tokenizer, {1, 0}), "\xE2\x82\xAC ");
}

TEST(TokenizerFile, RefusesWhatIsDamaged) {
  const Json good = byte_level_json({"a b"});
  EXPECT_EQ(complaint(good.dump()), "");
  const auto changed = [&](auto change) {
    Json json = good;
    change(json);
    return complaint(json.dump());
  };
  for (const std::string text : {"", "[]", "{}", "null", "{\"model\": {}}", "\xFF"}) {
    EXPECT_TRUE(has(complaint(text), "FILE")) << text;
  }
  EXPECT_TRUE(has(complaint(good.dump().substr(0, 500)), "no JSON"));
  EXPECT_TRUE(has(changed([](Json& j) { j["model"]["vocab"]["q"] = 1; }), "twice"));
  EXPECT_TRUE(has(changed([](Json& j) { j["model"]["vocab"]["q"] = -1; }), "vocabulary"));
  EXPECT_TRUE(has(changed([](Json& j) { j["model"]["vocab"]["q"] = 1 << 30; }), "too large"));
  EXPECT_TRUE(has(changed([](Json& j) { j["model"]["merges"] = {"ab"}; }), "merges"));
  EXPECT_TRUE(has(changed([](Json& j) { j["model"]["merges"] = {{"a", "b", "c"}}; }), "merges"));
  EXPECT_TRUE(has(changed([](Json& j) { j["model"]["merges"] = {"a z"}; }), "a z"));
  EXPECT_TRUE(has(changed([](Json& j) { j["added_tokens"] = {1}; }), "object"));
  std::string twice = good.dump();
  twice.insert(twice.find("\"merges\""), R"("vocab":{"a":7},)");
  EXPECT_TRUE(has(complaint(twice), "two")) << complaint(twice);
}

TEST(TokenizerFile, BoundsWhatItKeeps) {
  std::string many = "{\"x\": [0";
  for (std::size_t i = 0; i < kMostTokenizerValues; ++i) many += ",0";
  EXPECT_TRUE(has(complaint(many + "]}"), "too much"));
  EXPECT_TRUE(has(complaint(std::string(1000, '[')), "nested"));
}

TEST(ByteTokenizer, GivesBytes) {
  const auto tokenizer = make_byte_tokenizer();
  EXPECT_EQ(tokenizer->encode("a\xFF"), (Ids{'a', 0xFF}));
  EXPECT_EQ(text_of(*tokenizer, {'a', 0xE2, 256}), "a\xE2");
  EXPECT_EQ(tokenizer->known(), 257);
}

}  // namespace
}  // namespace cllm
