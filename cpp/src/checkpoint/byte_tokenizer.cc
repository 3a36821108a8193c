#include "checkpoint/byte_tokenizer.h"

#include <nlohmann/json.hpp>

#include "checkpoint/families/config_json.h"
#include "text/byte_letters.h"
#include "text/utf8.h"

namespace cllm {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kEndOfTextName = "<|endoftext|>";

}  // namespace

std::string byte_tokenizer_json() {
  Json vocabulary = Json::object();
  for (int byte = 0; byte < 256; ++byte) vocabulary[utf8(byte_letter(byte))] = byte;
  vocabulary[kEndOfTextName] = kEndOfText;
  // The name is only in the vocabulary, so it can be printed, and no text is encoded as it. As an
  // added token it would be matched in texts, where training reads it as 13 bytes.
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", false}};
  const Json json = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", Json::array()},
      {"normalizer", nullptr},
      {"pre_tokenizer", byte_level},
      {"post_processor", nullptr},
      {"decoder", byte_level},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", false},
        {"byte_fallback", false},
        {"vocab", vocabulary},
        {"merges", Json::array()}}},
  };
  return json.dump(1) + "\n";
}

std::string byte_tokenizer_config_json(std::int64_t positions) {
  const Json json = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                     {"model_max_length", positions},
                     {"bos_token", kEndOfTextName},
                     {"eos_token", kEndOfTextName},
                     {"split_special_tokens", true},
                     {"clean_up_tokenization_spaces", false}};
  return json.dump(2) + "\n";
}

}  // namespace cllm
