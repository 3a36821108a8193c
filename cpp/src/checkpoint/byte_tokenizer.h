// The tokenizer files of a byte model, for Hugging Face's libraries.
#pragma once

#include <cstdint>
#include <string>

namespace cllm {

/// tokenizer.json: every byte of the UTF-8 text is one token whose id is the byte's value; id 256
/// is "<|endoftext|>". It is a byte-level BPE without merges.
std::string byte_tokenizer_json();

/// tokenizer_config.json, which makes AutoTokenizer take the file above as it is.
std::string byte_tokenizer_config_json(std::int64_t positions);

}  // namespace cllm
