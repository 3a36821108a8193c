// A model folder has config.json and generation_config.json as Hugging Face's GPT-2 has them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cllm/model_config.h"

namespace cllm {

/// Holds what config.json tells about a model that this engine can run.
struct ModelDescription {
  ModelConfig config;
  bool byte_tokens =
      false;              ///< token = byte value, 256 = end of text ("cllm": {"tokens": "bytes"})
  bool tied_head = true;  ///< tie_word_embeddings; false needs an equal lm_head in the file
  std::vector<std::int32_t> end_tokens;  ///< any of them ends a text
};

/// Token ids of a byte model: 0 to 255 are the bytes, and this one ends a text.
constexpr int kEndOfText = 256;
constexpr int kByteVocabulary = 257;

/// Returns config.json. What GPT-2's config has no key for is under "cllm". `base`, when it is not
/// empty, is the config.json that the model came with; its other keys stay as they are. REQUIRES:
/// parse_config_json has accepted `base`.
std::string config_json(const ModelConfig& config, bool byte_tokens, const std::string& base = "");
std::string generation_config_json(bool byte_tokens);

/// Parses config.json; `where` names it in errors. Absent keys get GPT-2's defaults, except the
/// sizes, which must be there. Throws InputError for what cannot be run here: another model_type or
/// activation, a hidden width other than 4C, unscaled attention, ...
ModelDescription parse_config_json(const std::string& text, const std::string& where);

/// Returns the end-of-text tokens of a generation_config.json that are in the vocabulary; if it
/// names none, those that `model` has from its config.json.
std::vector<std::int32_t> parse_end_tokens(const std::string& text, const std::string& where,
                                           const ModelDescription& model);

}  // namespace cllm
