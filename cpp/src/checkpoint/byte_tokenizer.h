// The tokenizer files of a byte model, for Hugging Face's libraries.
#pragma once

#include <cstdint>
#include <string>

namespace cllm {

/// tokenizer.json: every byte of the UTF-8 text is one token whose id is the byte's value; id 256
/// is "<|endoftext|>", which is put between texts and made of none: where these 13 characters stand
/// in a text they are 13 tokens, as in training. It is a byte-level BPE without merges.
std::string byte_tokenizer_json();

/// tokenizer_config.json, which makes AutoTokenizer take the file above as it is, and not split
/// texts at the name of the end-of-text token.
std::string byte_tokenizer_config_json(std::int64_t positions);

}  // namespace cllm
