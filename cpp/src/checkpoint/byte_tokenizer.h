// A byte model has these tokenizer files, for Hugging Face's libraries.
#pragma once

#include <cstdint>
#include <string>

namespace cllm {

/// Returns tokenizer.json, a byte-level BPE without merges: every byte of the UTF-8 text is one
/// token whose id is the byte's value. Id 256 is "<|endoftext|>", which stands between texts. No
/// text is encoded as it: where these 13 characters stand in a text they are 13 tokens, as in
/// training.
std::string byte_tokenizer_json();

/// Returns tokenizer_config.json, which makes AutoTokenizer take the file above as it is and keeps
/// it from splitting texts at the name of the end-of-text token.
std::string byte_tokenizer_config_json(std::int64_t positions);

}  // namespace cllm
