// A tokenizer.json is made for a test: every byte has a token, and some merges follow.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "text/byte_letters.h"
#include "text/utf8.h"

namespace cllm {

/// Returns a byte-level BPE whose ids 0 to 255 are the bytes and whose merges come after.
inline nlohmann::json byte_level_json(const std::vector<std::string>& merges) {
  nlohmann::json vocabulary;
  for (int byte = 0; byte < 256; ++byte) vocabulary[utf8(byte_letter(byte))] = byte;
  int next = 256;
  for (const std::string& merge : merges) {
    std::string whole = merge;
    whole.erase(whole.find(' '), 1);
    if (!vocabulary.contains(whole)) vocabulary[whole] = next++;
  }
  const nlohmann::json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  return {{"version", "1.0"},
          {"added_tokens", nlohmann::json::array()},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", nullptr},
          {"decoder", byte_level},
          {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}}};
}

/// Adds a token behind all others of a byte_level_json().
inline void add_token(nlohmann::json& json, const std::string& name, bool is_special,
                      bool is_normalized = false) {
  const std::size_t id = json["model"]["vocab"].size() + json["added_tokens"].size();
  json["added_tokens"].push_back({{"id", id},
                                  {"content", name},
                                  {"special", is_special},
                                  {"normalized", is_normalized},
                                  {"single_word", false},
                                  {"lstrip", false},
                                  {"rstrip", false}});
}

}  // namespace cllm
