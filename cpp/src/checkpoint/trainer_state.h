// Resuming a run exactly needs the model and this: the state of trainer and optimizer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/model_folder.h"
#include "cllm/model_config.h"
#include "data/fingerprint.h"
#include "model/layout.h"

namespace cllm {

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
  std::string version;  ///< of cllm
};

/// These write and parse the JSON text; `where` names it in errors. Parsing throws InputError for a
/// missing or misshapen field and for a format that this version does not know.
std::string trainer_state_json(const TrainerState& state);
TrainerState parse_trainer_state(const std::string& text, const std::string& where);

/// A flat range of the optimizer: its tensors are called `name` + "." + the parameter's name.
template <class Float>
struct OptimizerRange {
  std::string name;
  bool may_be_negative;
  Float* values;  ///< [layout.trainables().flat_size()]
};

/// Writes a model folder with trainer_state.json and optimizer.safetensors in it, atomically.
/// Weights that are too large for state.weights are saved as fp32; then it returns a note that says
/// so, else "". `parameters` is [layout.flat_size()]; `extra` as in add_model_files. The token
/// embedding in `parameters` of a coupled model is the effective one, which the model folder holds;
/// `embedding`[V', C] is the one that is trained, and goes with the coefficients beside the
/// moments.
std::string write_checkpoint(const std::string& folder, const TrainerState& state,
                             const ParameterLayout& layout, const float* parameters,
                             const std::vector<OptimizerRange<const float>>& optimizer,
                             const ExtraFiles& extra = {}, const float* embedding = nullptr);

/// Reads the state alone; the layout for read_checkpoint is made from its model. Checks nothing
/// else.
TrainerState read_trainer_state(const std::string& folder);

/// Fills the parameters, the optimizer's ranges and the embedding of a coupled model, padding with
/// zeros. Verifies every byte against the manifest first; throws InputError, touching no buffer,
/// when a file is damaged or there is no manifest. Throws it as well for numbers that are not
/// finite, or negative where none may be.
TrainerState read_checkpoint(const std::string& folder, const ParameterLayout& layout,
                             float* parameters, const std::vector<OptimizerRange<float>>& optimizer,
                             float* embedding = nullptr);

}  // namespace cllm
