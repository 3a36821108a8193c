// A checkpoint is a model folder, or that of an adapter, with the state of trainer and optimizer.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/carried_files.h"
#include "checkpoint/trainer_state.h"
#include "model/layout.h"

namespace cllm {

/// A flat range of the optimizer: its tensors are called `name` + "." + the parameter's name.
template <class Float>
struct OptimizerRange {
  std::string name;
  bool may_be_negative;
  Float* values;  ///< [layout.trainables().flat_size()]
};

/// Writes a model folder with trainer_state.json and optimizer.safetensors in it, atomically.
/// `trained`[layout.trainables().flat_size()] are the parameters or, if the layout has adapters,
/// these: then it is the folder of an adapter beside state.base, of which it holds nothing. Weights
/// that are too large for state.weights are saved as fp32; then it returns a note that says so,
/// else "". `extra` is as in add_model_files. The token embedding in `trained` of a coupled model
/// is the effective one, which the model folder holds; `embedding`[V', C] is the one that is
/// trained, and goes with the coefficients beside the moments. REQUIRES: state.base, for adapters.
std::string write_checkpoint(const std::string& folder, const TrainerState& state,
                             const ParameterLayout& layout, const float* trained,
                             const std::vector<OptimizerRange<const float>>& optimizer,
                             const ExtraFiles& extra = {}, const float* embedding = nullptr);

/// Fills what is trained, the optimizer's ranges and the embedding of a coupled model, padding with
/// zeros; the layout is of the state's model. Verifies every byte against the manifest first;
/// throws InputError, touching no buffer, when a file is damaged or there is no manifest. Throws it
/// as well for numbers that are not finite, or negative where none may be.
TrainerState read_checkpoint(const std::string& folder, const ParameterLayout& layout,
                             float* trained, const std::vector<OptimizerRange<float>>& optimizer,
                             float* embedding = nullptr);

}  // namespace cllm
