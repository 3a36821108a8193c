// A family's models are spelled in files as Hugging Face spells them: keys of config.json, names of
// tensors. Each family has one entry here.
#pragma once

#include <string>

#include "checkpoint/families/config_keys.h"
#include "cllm/model_config.h"

namespace cllm {

/// Says how the models of a family are written and read.
struct FamilyFormat {
  const char* architecture;  ///< "GPT2LMHeadModel": what config.json names it by
  /// Begins the names of all tensors but the head. Files of the model without a head leave it out.
  const char* prefix;
  bool tied;  ///< whether the head is tied where config.json does not say
  /// Fills sizes and numbers of config.family, which is set, and refuses what cannot be run here.
  void (*read)(const ConfigKeys& keys, ModelConfig& config);
  /// Sets the keys that read() reads.
  void (*write)(const ModelConfig& config, ConfigWriter& out);
  /// Says whether the name ends as one of a constant, which older versions stored with the weights.
  bool (*is_constant)(const std::string& name);
};

const FamilyFormat& format_of(Family family) noexcept;

extern const FamilyFormat kGpt2Format, kLlamaFormat, kQwen2Format, kQwen3Format;

/// The head's tensor, where it is stored.
constexpr const char* kHeadName = "lm_head.weight";

/// Returns the shorter of a tensor's two names: `name` without the family's prefix.
std::string without_prefix(const FamilyFormat& format, const std::string& name);

bool ends_with(const std::string& text, const std::string& end);

}  // namespace cllm
