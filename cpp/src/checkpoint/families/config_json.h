// A model folder has config.json and generation_config.json as Hugging Face's models have them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/weight_type.h"
#include "cllm/model_config.h"

namespace cllm {

/// Holds what config.json tells about a model.
struct ModelDescription {
  ModelConfig config;
  bool byte_tokens =
      false;  ///< token = byte value, 256 = end of text ("cllm": {"tokens": "bytes"})
  std::vector<std::int32_t> end_tokens;  ///< any of them ends a text
};

/// Token ids of a byte model: 0 to 255 are the bytes, and this one ends a text.
constexpr int kEndOfText = 256;
constexpr int kByteVocabulary = 257;

/// Returns config.json. What the family's config has no key for is under "cllm". `base`, when it is
/// not empty, is the config.json that the model came with, or a part of one. Its keys which do not
/// describe the model stay, and all of them when it describes this model already. REQUIRES: `base`
/// is a JSON object.
std::string config_json(const ModelConfig& config, bool byte_tokens, const std::string& base = "",
                        WeightType type = WeightType::kFloat32);
std::string generation_config_json(bool byte_tokens);

/// Parses config.json; `where` names it in errors. Keys of both Hugging Face's version 5 and older
/// ones are read; absent ones get the family's defaults, except the sizes, which must be there.
/// Throws InputError for what a ModelConfig cannot say: another model_type, windows of attention, a
/// mixture of experts, quantised weights, ...
ModelDescription parse_config_json(const std::string& text, const std::string& where);

/// Returns the end-of-text tokens of a generation_config.json that are in the vocabulary; if it
/// names none, those that `model` has from its config.json.
std::vector<std::int32_t> parse_end_tokens(const std::string& text, const std::string& where,
                                           const ModelDescription& model);

}  // namespace cllm
