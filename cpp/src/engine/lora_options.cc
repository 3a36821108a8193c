#include "engine/lora_options.h"

#include <algorithm>

#include "cllm/wording.h"

namespace cllm {
namespace {

/// Returns the names between commas, without the spaces around them.
std::vector<std::string> names_in(const std::string& text) {
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::size_t first = text.find_first_not_of(' ', begin);
    if (first < end) {
      names.push_back(text.substr(first, text.find_last_not_of(' ', end - 1) + 1 - first));
    }
    begin = end + 1;
  }
  return names;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  return text;
}

}  // namespace

std::optional<LoraConfig> lora_of(const TrainConfig& config) {
  if (!config.lora) return std::nullopt;
  LoraConfig lora;
  lora.rank = config.lora_rank;
  lora.alpha =
      config.lora_alpha > 0 ? config.lora_alpha : 2 * static_cast<double>(config.lora_rank);
  lora.dropout = config.lora_dropout;
  lora.rslora = config.rslora;
  lora.targets = names_in(config.lora_targets);
  lora.modules_to_save = names_in(config.lora_modules_to_save);
  return lora;
}

void take_adapter(TrainConfig& config, const LoraConfig& lora) {
  config.lora_rank = lora.rank;
  config.lora_alpha = lora.alpha;
  config.rslora = lora.rslora;
  config.lora_targets = joined(lora.targets);
  config.lora_modules_to_save = joined(lora.modules_to_save);
}

LoraNames lora_option_names() {
  return {option_word("lora-rank"), option_word("lora-alpha"), option_word("lora-dropout"),
          option_word("lora-targets"), option_word("lora-modules-to-save")};
}

}  // namespace cllm
