// Resuming a run exactly needs the model and this: the state of trainer and optimizer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "checkpoint/weight_type.h"
#include "cllm/model_config.h"
#include "data/fingerprint.h"

namespace cllm {

constexpr const char* kTrainerStateName = "trainer_state.json";

/// Names the model whose weights stay beside adapters.
struct BaseModel {
  std::string path;      ///< absolute
  std::string checksum;  ///< WeightsChecksum
};

/// Holds the contents of trainer_state.json. Weights after N steps depend on exactly these things
/// (and on the moments in optimizer.safetensors), so a resumed run can tell what changed.
struct TrainerState {
  std::int64_t step = 0;            ///< updates done, skipped ones included
  std::int64_t tokens = 0;          ///< tokens trained on
  std::int64_t optimizer_step = 0;  ///< t of AdamW's bias correction: updates applied
  double rate_scale = 1;            ///< multiplies every learning rate: below 1 after a rollback
  std::optional<double> rate;       ///< the learning rate that was set in place of the schedule's
  std::int64_t seed = 0;
  std::string config;  ///< the resolved config.toml
  ModelConfig model;
  bool byte_tokens = true;
  DataFingerprint data;
  std::string data_path;  ///< absolute path of the data; "" when unknown
  std::string validation_path;
  DataFingerprint validation;      ///< of the validation file; size 0 when there is none
  std::string isa;                 ///< KernelTable::name
  std::string gemm;                ///< describe_gemm_backend
  std::string cpu_model;           ///< as /proc/cpuinfo names it
  std::string precision = "fp32";  ///< of the operands of products
  /// Of the weights in model.safetensors. Where these are rounded, optimizer.safetensors has them
  /// in 32 bits, as "weights." + name.
  WeightType weights = WeightType::kFloat32;
  std::string version;            ///< of cllm
  std::optional<BaseModel> base;  ///< of adapters; null: the checkpoint holds the whole model
};

/// These write and parse the JSON text; `where` names it in errors. Parsing throws InputError for a
/// missing or misshapen field and for a format that this version does not know.
std::string trainer_state_json(const TrainerState& state);
TrainerState parse_trainer_state(const std::string& text, const std::string& where);

/// Reads the state of a checkpoint alone, and checks nothing else.
TrainerState read_trainer_state(const std::string& folder);

}  // namespace cllm
