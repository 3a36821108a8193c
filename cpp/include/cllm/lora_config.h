// A LoRA config says which linear maps of a model get adapters (Hu et al. 2021), and of what kind.
// Each field names its key in PEFT's adapter_config.json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cllm/model_config.h"

namespace cllm {

/// Stands for every linear map of the layers among the targets.
constexpr const char* kAllLinear = "all-linear";
/// Stands for the token embedding and the head among the modules to save.
constexpr const char* kEmbeddings = "embeddings";

/// Describes adapters, which are trained in place of the weights: y = x W + b + s (x A^T) B^T.
struct LoraConfig {
  std::int64_t rank = 8;  ///< r: the rows of A[r, inputs] and the columns of B[outputs, r]
  double alpha = 8;       ///< lora_alpha: s is alpha / r
  double dropout = 0;     ///< lora_dropout: the part of x that A does not see in training
  bool rslora = false;    ///< use_rslora: s is alpha / sqrt(r) (Kalajdzievski 2023)
  /// target_modules: names of linear maps, or their last parts ("q_proj", "c_attn").
  std::vector<std::string> targets = {kAllLinear};
  /// modules_to_save: what of the token embedding and the head is trained too, whole: its name, or
  /// the last part of it ("embed_tokens", "lm_head", "wte"). Tied to each other they are one.
  std::vector<std::string> modules_to_save;

  /// Returns s.
  double scale() const noexcept;
};

bool operator==(const LoraConfig& a, const LoraConfig& b) noexcept;

/// Says what an error calls the fields of a config: where its reader wrote them.
struct LoraNames {
  std::string rank = "rank", alpha = "alpha", dropout = "dropout", targets = "targets",
              modules_to_save = "modules_to_save";
};

/// Throws InputError for a value that is not allowed, for a rank above the model's width, and for a
/// target or a module that the model does not have.
void check(const LoraConfig& lora, const ModelConfig& model, const LoraNames& names = {});

}  // namespace cllm
