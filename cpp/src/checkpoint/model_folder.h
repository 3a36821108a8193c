// A model as a folder that Hugging Face's from_pretrained opens, written and read.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "checkpoint/folder_writer.h"
#include "checkpoint/model_json.h"
#include "cllm/model_config.h"
#include "model/layout.h"

namespace cllm {

/// Further files of a folder: name and contents, such as the tokenizer.json of a fine-tuned model.
using ExtraFiles = std::vector<std::pair<std::string, std::string>>;

/// The tensors of `values` (parameters, or moments laid out like them) named `prefix` + name.
std::vector<TensorView> tensor_views(const ParameterLayout& layout, const float* values,
                                     const std::string& prefix = "");

/// Adds config.json, generation_config.json, model.safetensors and, for a byte model, the
/// tokenizer's files.
void add_model_files(FolderWriter& writer, const ModelConfig& config, const ParameterLayout& layout,
                     const float* parameters, bool byte_tokens);

/// A complete folder that holds nothing but the model, written atomically (see FolderWriter).
void write_model_folder(const std::string& folder, const ModelConfig& config,
                        const ParameterLayout& layout, const float* parameters, bool byte_tokens,
                        const ExtraFiles& extra = {});

/// SHA-256 in hex of the model.safetensors that would be written.
std::string weights_sha256(const ParameterLayout& layout, const float* parameters);

/// Throws InputError when there is no model, or none that can be run here.
ModelDescription read_model_config(const std::string& folder);

/// Fills `out`[layout.flat_size()], padding with zeros, after checking the model's files against
/// the manifest where there is one. Accepts what `transformers` writes for GPT-2: names with or
/// without "transformer.", F32, F16 and BF16, attention-mask buffers and a tied lm_head.weight.
/// Throws InputError for missing, unexpected or misshapen tensors, and for a head of its own.
void read_model_parameters(const std::string& folder, const ParameterLayout& layout, float* out);

/// Fills `out`[layout.flat_size()] from the tensors named `prefix` + name of one file.
void read_tensors(const SafetensorsFile& file, const ParameterLayout& layout,
                  const std::string& prefix, float* out);

}  // namespace cllm
