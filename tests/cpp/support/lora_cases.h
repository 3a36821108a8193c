// The engine's tests train adapters in these cases.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "session_fixture.h"

namespace cllm {

inline LoraConfig lora_of(std::int64_t rank, std::vector<std::string> targets = {kAllLinear}) {
  LoraConfig config;
  config.rank = rank;
  config.alpha = 2 * static_cast<double>(rank);
  config.targets = std::move(targets);
  return config;
}

/// Every family, both precisions, one position and several, shards that accumulate, dropout of the
/// model or of adapters, adapters everywhere or on some linear maps, embeddings that are trained
/// too.
inline std::vector<TrainingCase> lora_cases() {
  std::vector<TrainingCase> cases = {
      {"LoraGpt2", 2, 5, 60, 48, 101, 13, 3},
      {"LoraOnePosition", 2, 4, 32, 40, 101, 12, 1},
      {"LoraWideBf16", 1, 2, 136, 64, 101, 35, 2, Precision::kBf16},
      {"LoraDropout", 2, 3, 36, 70, 101, 31, 2, Precision::kFp32, 0.1},
      {"LoraLlama", 2, 5, 60, 48, 101, 13, 3, Precision::kFp32, 0, Family::kLlama, 1},
      {"LoraLlamaBf16", 2, 4, 40, 48, 101, 25, 12, Precision::kBf16, 0, Family::kLlama, 2},
      {"LoraQwen2", 2, 4, 40, 41, 101, 13, 3, Precision::kFp32, 0, Family::kQwen2, 2},
      {"LoraQwen3Bf16", 2, 4, 33, 41, 101, 13, 2, Precision::kBf16, 0, Family::kQwen3, 2, 14},
      {"LoraEmbeddings", 2, 4, 40, 48, 101, 13, 3, Precision::kFp32, 0, Family::kLlama, 2},
      {"LoraTiedBf16", 2, 4, 40, 41, 101, 25, 12, Precision::kBf16, 0.1, Family::kGpt2}};
  for (TrainingCase& c : cases) c.lora = lora_of(4);
  cases[1].lora = lora_of(3, {"c_attn", "mlp.c_proj"});
  cases[3].lora->dropout = 0.2;
  cases[4].lora = lora_of(5, {"q_proj", "v_proj"});
  cases[5].lora->dropout = 0.1;
  cases[6].lora = lora_of(2, {"down_proj", "k_proj"});
  cases[8].lora->modules_to_save = {kEmbeddings};
  cases[9].lora->modules_to_save = {"wte"};
  return cases;
}

}  // namespace cllm
