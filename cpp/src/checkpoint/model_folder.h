// A model as a folder that Hugging Face's from_pretrained opens, written and read.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/carried_files.h"
#include "checkpoint/folder_writer.h"
#include "checkpoint/model_json.h"
#include "cllm/model_config.h"
#include "model/layout.h"

namespace cllm {

/// The tensors of `values` (parameters, or moments laid out like them) named `prefix` + name.
std::vector<TensorView> tensor_views(const ParameterLayout& layout, const float* values,
                                     const std::string& prefix = "");

/// Adds config.json, generation_config.json, model.safetensors, for a byte model the tokenizer's
/// files, and `extra`, whose files stand in for ours of the same name; of its config.json the keys
/// that do not describe the model are kept.
void add_model_files(FolderWriter& writer, const ModelConfig& config, const ParameterLayout& layout,
                     const float* parameters, bool byte_tokens, const ExtraFiles& extra = {});

/// A complete folder that holds nothing but the model, written atomically (see FolderWriter).
void write_model_folder(const std::string& folder, const ModelConfig& config,
                        const ParameterLayout& layout, const float* parameters, bool byte_tokens,
                        const ExtraFiles& extra = {});

/// SHA-256 in hex of the model.safetensors that would be written.
std::string weights_sha256(const ParameterLayout& layout, const float* parameters);

/// The model folder that `folder` is or, for a run, holds: the one that has come furthest, of equal
/// ones the final model. Throws InputError when it is neither.
std::string resolve_model_folder(const std::string& folder);

/// Throws InputError when there is no model, none that can be run here, or fewer weights beside
/// config.json than it speaks of: nothing is allocated for a size that nobody stored.
ModelDescription read_model_config(const std::string& folder);

/// Throws InputError when `arrays` numbers for each of the model's parameters need more memory than
/// this process may use.
void check_parameters_fit(const ModelConfig& config, int arrays, const std::string& where);

/// Fills `out`[layout.flat_size()], padding with zeros, after checking the model's files against
/// the manifest where there is one. Accepts what `transformers` writes for GPT-2: names with or
/// without "transformer.", F32, F16 and BF16, attention-mask buffers and a tied lm_head.weight.
/// Throws InputError for missing, unexpected or misshapen tensors, for a head of its own, and for
/// values that are not finite.
void read_model_parameters(const std::string& folder, const ParameterLayout& layout, float* out);

/// What the values of stored tensors may be.
enum class Values { kFinite, kFiniteNotNegative };

/// Fills `out`[layout.flat_size()] from the tensors named `prefix` + name of one file. Throws
/// InputError naming the tensor, how many values cannot be, and the first.
void read_tensors(const SafetensorsFile& file, const ParameterLayout& layout,
                  const std::string& prefix, Values values, float* out);

}  // namespace cllm
