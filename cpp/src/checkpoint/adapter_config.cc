#include "checkpoint/adapter_config.h"

#include <cmath>

#include "checkpoint/families/config_keys.h"
#include "model/adapters.h"

namespace cllm {
namespace {

constexpr const char* kPatternKeys[] = {"exclude_modules", "layers_to_transform"};

/// What PEFT can do to a model beside s B A. Each is off where it is null, false or empty.
constexpr const char* kNotDone[] = {"use_dora",
                                    "use_qalora",
                                    "use_bdlora",
                                    "lora_bias",
                                    "rank_pattern",
                                    "alpha_pattern",
                                    "layer_replication",
                                    "arrow_config",
                                    "target_parameters",
                                    "layers_pattern",
                                    "trainable_token_indices",
                                    "kasa_config",
                                    "megatron_config",
                                    "monteclora_config",
                                    "alora_invocation_tokens",
                                    "velora_config"};

/// The ways to start adapters that leave the weights of the model as they are.
constexpr const char* kStarts[] = {"gaussian", "eva", "orthogonal"};

/// Refuses a start that has changed the weights: the adapter alone says nothing of that.
void check_start(const ConfigKeys& keys) {
  constexpr const char* kKey = "init_lora_weights";
  if (!keys.is_text(kKey)) {
    keys.flag(kKey, true);
    return;
  }
  for (const char* start : kStarts) {
    if (keys.text(kKey, "") == start) return;
  }
  keys.refuse(kKey, "true, false, \"gaussian\", \"eva\" or \"orthogonal\"",
              "others change the weights of the model: save it with the adapter merged, in PEFT");
}

std::vector<std::string> targets_of(const ConfigKeys& keys,
                                    const std::function<std::vector<std::string>()>& modules) {
  constexpr const char* kKey = "target_modules";
  bool is_pattern = keys.is_text(kKey);
  for (const char* key : kPatternKeys) is_pattern = is_pattern || keys.has(key);
  std::vector<std::string> targets = is_pattern ? modules() : keys.texts(kKey);
  if (targets.empty()) keys.refuse(kKey, "names of linear maps");
  return targets;
}

}  // namespace

std::string adapter_config_json(const ParameterLayout& layout, const std::string& base) {
  const LoraConfig& lora = *layout.lora();
  ConfigWriter out;
  out.set("peft_type", "LORA");
  out.set("task_type", "CAUSAL_LM");
  out.set("base_model_name_or_path", base.c_str());
  out.set("r", lora.rank);
  if (lora.alpha == std::floor(lora.alpha)) {  // as most people write it
    out.set("lora_alpha", static_cast<std::int64_t>(lora.alpha));
  } else {
    out.set("lora_alpha", lora.alpha);
  }
  out.set("lora_dropout", lora.dropout);
  out.set("bias", "none");
  out.set_list("target_modules", plain_targets(layout));
  out.set("fan_in_fan_out", layout.config().is_gpt2());
  out.set("init_lora_weights", true);
  out.set("use_rslora", lora.rslora);
  out.set("use_dora", false);
  const std::vector<std::string> modules = plain_modules(layout);
  if (modules.empty()) {
    out.set_null("modules_to_save");
  } else {
    out.set_list("modules_to_save", modules);
    if (layout.network().tied()) out.set("ensure_weight_tying", true);
  }
  out.set_empty("rank_pattern");
  out.set_empty("alpha_pattern");
  out.set_null("layers_to_transform");
  out.set("inference_mode", true);
  return out.text();
}

AdapterDescription parse_adapter_config(const std::string& text, const std::string& where,
                                        const std::function<std::vector<std::string>()>& modules) {
  const ConfigKeys keys(text, where, "the adapter_config.json of a LoRA",
                        "adapter cannot be used here");
  if (keys.text("peft_type", "") != "LORA") keys.refuse("peft_type", "\"LORA\"");
  if (keys.text("task_type", "CAUSAL_LM") != "CAUSAL_LM") keys.refuse("task_type", "\"CAUSAL_LM\"");
  if (keys.text("bias", "none") != "none") keys.refuse("bias", "\"none\"");
  for (const char* key : kNotDone) keys.require_nothing(key);
  check_start(keys);
  AdapterDescription adapter;
  LoraConfig& lora = adapter.lora;
  lora.rank = keys.size("r", 1, kMostWidth, lora.rank);
  lora.alpha = keys.number("lora_alpha", 0, 1e6, lora.alpha);
  lora.dropout = keys.number("lora_dropout", 0, 1, 0);
  lora.rslora = keys.flag("use_rslora", false);
  lora.targets = targets_of(keys, modules);
  lora.modules_to_save = keys.texts("modules_to_save");
  adapter.base = keys.text("base_model_name_or_path", "");
  return adapter;
}

LoraNames lora_key_names(const std::string& where) {
  const auto key = [&where](const char* name) { return where + ": \"" + name + "\""; };
  return {key("r"), key("lora_alpha"), key("lora_dropout"), key("target_modules"),
          key("modules_to_save")};
}

}  // namespace cllm
