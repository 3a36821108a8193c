// adapter_config.json says what adapters a folder holds, and beside which model, as PEFT has it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cllm/lora_config.h"
#include "model/layout.h"

namespace cllm {

constexpr const char* kAdapterConfigName = "adapter_config.json";

struct AdapterDescription {
  LoraConfig lora;
  std::string base;  ///< the folder of the model, or its name on a hub; "": not known
};

/// Returns the text for the adapters of a layout, which were trained beside the model in `base`.
std::string adapter_config_json(const ParameterLayout& layout, const std::string& base);

/// Reads the text; `where` names it in errors. modules() are the names of the linear maps that have
/// adapters in the file beside it: they are the targets where the text has only a pattern for them.
/// Throws InputError for what is no LoRA, and for kinds of it that are not computed here: they
/// would be another model.
AdapterDescription parse_adapter_config(const std::string& text, const std::string& where,
                                        const std::function<std::vector<std::string>()>& modules);

/// Returns what errors about the LoraConfig of such a file call its fields.
LoraNames lora_key_names(const std::string& where);

}  // namespace cllm
