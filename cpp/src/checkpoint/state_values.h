// The trainer state is JSON; these functions write and read its numbers and its model.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cllm/model_config.h"

namespace cllm {

/// Reads a whole number in its range; the JSON library would turn 1e300 or -1 into another number.
/// Throws InputError, where `where` names the file.
std::int64_t state_number(const std::string& where, const nlohmann::ordered_json& object,
                          const char* key, std::int64_t least,
                          std::int64_t most = std::numeric_limits<std::int64_t>::max());

nlohmann::ordered_json state_of_model(const ModelConfig& model);
/// Throws InputError, or an exception of the JSON library, for what state_of_model does not write.
ModelConfig model_of_state(const std::string& where, const nlohmann::ordered_json& json);

}  // namespace cllm
