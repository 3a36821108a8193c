#include "checkpoint/checkpoint_folder.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "checkpoint/adapter_folder.h"
#include "checkpoint/manifest.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/model_weights.h"
#include "checkpoint/weight_files.h"
#include "cllm/error.h"

namespace cllm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOptimizerName = "optimizer.safetensors";
constexpr const char* kWeightsPrefix = "weights.";
constexpr const char* kEmbeddingName = "lattice.embedding";

/// Returns the first tensor of the file of weights that has a number too large for a type; null
/// when all fit. The coefficients of a lattice are not in that file.
const TensorEntry* too_large(const TensorTable& table, const float* trained, WeightType type) {
  if (type == WeightType::kFloat32) return nullptr;
  const float most = type == WeightType::kFloat16 ? 65504.0f : 3.38e38f;
  for (const TensorEntry& entry : table.tensors()) {
    const float* const first = trained + entry.offset;
    const bool fits = entry.coupling || std::all_of(first, first + entry.size, [most](float value) {
                        return std::fabs(value) <= most;
                      });
    if (!fits) return &entry;
  }
  return nullptr;
}

}  // namespace

std::string write_checkpoint(const std::string& folder, const TrainerState& asked,
                             const ParameterLayout& layout, const float* trained,
                             const std::vector<OptimizerRange<const float>>& optimizer,
                             const ExtraFiles& extra, const float* embedding) {
  TrainerState state = asked;
  // A run must not end without a checkpoint.
  const TensorEntry* const large = too_large(layout.trainables(), trained, asked.weights);
  if (large != nullptr) state.weights = WeightType::kFloat32;
  FolderWriter writer(folder);
  if (layout.adapted()) {
    add_adapter_files(writer, layout, trained, state.base->path, state.byte_tokens, extra,
                      state.weights);
  } else {
    add_model_files(writer, state.model, layout, trained, state.byte_tokens, extra, state.weights);
  }
  std::vector<TensorView> all;
  if (state.weights != WeightType::kFloat32) {
    all = tensor_views(layout.trainables(), trained, kWeightsPrefix);
  }
  for (const OptimizerRange<const float>& range : optimizer) {
    const std::vector<TensorView> views =
        tensor_views(layout.trainables(), range.values, range.name + ".");
    all.insert(all.end(), views.begin(), views.end());
  }
  if (layout.coupled()) {
    const TensorEntry& w = layout.tensors().back();
    all.push_back({kEmbeddingName, layout.tensors()[layout.token_tensor()].shape, embedding});
    all.push_back({w.name, w.shape, trained + w.offset});
  }
  writer.add_tensors(kOptimizerName, all);
  writer.add_text(kTrainerStateName, trainer_state_json(state));
  writer.commit();
  if (large == nullptr) return "";
  return std::string("the weights are saved as fp32, not as ") + option_name(asked.weights) + ": " +
         large->name + " has a number that is too large for it";
}

TrainerState read_checkpoint(const std::string& folder, const ParameterLayout& layout,
                             float* trained, const std::vector<OptimizerRange<float>>& optimizer,
                             float* embedding) {
  const TrainerState state = read_trainer_state(folder);
  std::vector<std::string> needed = {kTrainerStateName, kOptimizerName};
  if (layout.adapted()) {
    needed.insert(needed.end(), {kAdapterConfigName, kAdapterWeightsName});
  } else {
    needed.insert(needed.end(), {"config.json", kWeightsName});
  }
  if (!verify_folder(folder, needed)) {
    throw InputError({"checkpoint without a manifest", "", "manifest.json", folder,
                      "it may be incomplete; use another checkpoint"});
  }
  const SafetensorsFile file((fs::path(folder) / kOptimizerName).string());
  if (state.weights != WeightType::kFloat32) {
    read_tensors(file, layout.trainables(), kWeightsPrefix, Values::kFinite, trained);
  } else if (layout.adapted()) {
    read_adapters(folder, layout, trained);
  } else {
    read_model_parameters(folder, layout, trained);
  }
  for (const OptimizerRange<float>& range : optimizer) {
    const Values values = range.may_be_negative ? Values::kFinite : Values::kFiniteNotNegative;
    read_tensors(file, layout.trainables(), range.name + ".", values, range.values);
  }
  if (layout.coupled()) {
    const TensorEntry& w = layout.tensors().back();
    read_tensor(file, kEmbeddingName, layout.tensors()[layout.token_tensor()], Values::kFinite,
                embedding);
    read_tensor(file, w.name, w, Values::kFinite, trained + w.offset);
  }
  return state;
}

}  // namespace cllm
