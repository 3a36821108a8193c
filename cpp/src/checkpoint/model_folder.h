// A model is written and read as a folder that Hugging Face's from_pretrained opens.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/carried_files.h"
#include "checkpoint/families/config_json.h"
#include "checkpoint/folder_writer.h"
#include "checkpoint/weight_type.h"
#include "cllm/model_config.h"
#include "model/layout.h"

namespace cllm {

/// Returns the tensors of moments `values`, which are laid out like the parameters, named `prefix`
/// + name.
std::vector<TensorView> tensor_views(const TensorTable& table, const float* values,
                                     const std::string& prefix);
/// Returns the tensors of a model: all but the coefficients of the lattice, which act through the
/// token embedding.
std::vector<TensorView> model_views(const ParameterLayout& layout, const float* parameters);

/// Adds config.json, generation_config.json, model.safetensors, for a byte model the tokenizer's
/// files, and `extra`. Files in `extra` replace CLLM's own of the same name; of its config.json,
/// the keys that do not describe the model are kept. Weights are rounded to `type`.
void add_model_files(FolderWriter& writer, const ModelConfig& config, const ParameterLayout& layout,
                     const float* parameters, bool byte_tokens, const ExtraFiles& extra = {},
                     WeightType type = WeightType::kFloat32);

/// Adds what such a folder has beside settings and weights of the model: the tokenizer's files of
/// a byte model, and `extra` but for its config.json.
void add_tokenizer_files(FolderWriter& writer, const ModelConfig& config, bool byte_tokens,
                         const ExtraFiles& extra);

/// Writes a complete folder that holds nothing but the model, atomically (see FolderWriter).
void write_model_folder(const std::string& folder, const ModelConfig& config,
                        const ParameterLayout& layout, const float* parameters, bool byte_tokens,
                        const ExtraFiles& extra = {}, WeightType type = WeightType::kFloat32);

/// Returns the tensors that are trained and saved: those of the model or, if the layout has
/// adapters, these. `trained` is laid out as the trainables.
std::vector<TensorView> trained_views(const ParameterLayout& layout, const float* trained);

/// Returns the SHA-256 in hex of the file of these tensors that would be written.
std::string weights_sha256(const ParameterLayout& layout, const float* trained);

/// Returns the folder of a model, or of an adapter, that `folder` is or, for a run, holds: the one
/// with most steps, of equal ones the final one. Throws InputError when `folder` is neither.
std::string resolve_model_folder(const std::string& folder);
/// Does the same for an adapter, and refuses whole models.
std::string resolve_adapter_folder(const std::string& folder);

/// Throws InputError when there is no model, when it cannot be run here, and when the weights hold
/// fewer parameters than config.json says; so nothing is allocated for a size that was never
/// stored.
ModelDescription read_model_config(const std::string& folder);

/// Throws InputError when so many bytes for each of the model's parameters are more memory than
/// this process may use.
void check_parameters_fit(const ModelConfig& config, std::size_t bytes, const std::string& where);

}  // namespace cllm
