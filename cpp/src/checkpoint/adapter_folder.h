// An adapter is written and read as a folder that PEFT opens. It holds nothing of the model that it
// was trained beside.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/adapter_config.h"
#include "checkpoint/carried_files.h"
#include "checkpoint/folder_writer.h"
#include "checkpoint/weight_type.h"
#include "model/layout.h"

namespace cllm {

constexpr const char* kAdapterWeightsName = "adapter_model.safetensors";

/// Says whether a folder holds an adapter alone. Where there is a config.json it is a model.
bool is_adapter_folder(const std::string& folder);

/// Returns the tensors of adapters[layout.trainables().flat_size()] under the names of PEFT.
std::vector<TensorView> adapter_views(const ParameterLayout& layout, const float* adapters);

/// Adds adapter_config.json, which names the folder `base`, adapter_model.safetensors, and the
/// files of `extra` and of a byte model that add_model_files adds, but no config.json.
void add_adapter_files(FolderWriter& writer, const ParameterLayout& layout, const float* adapters,
                       const std::string& base, bool byte_tokens, const ExtraFiles& extra,
                       WeightType type);

/// Reads what an adapter is, after checking the file against the manifest where there is one.
/// Throws InputError for what is no adapter, or none that can be used here.
AdapterDescription read_adapter_config(const std::string& folder);

/// Throws InputError, which names the file and the key, unless the model can have such adapters.
void check_adapter(const std::string& folder, const LoraConfig& lora, const ModelConfig& model);

/// Fills `adapters`[layout.trainables().flat_size()], padding with zeros, after checking the file
/// against the manifest where there is one. Throws InputError for missing, unexpected or misshapen
/// tensors, and for values that are not finite.
void read_adapters(const std::string& folder, const ParameterLayout& layout, float* adapters);

/// Is the CRC-32C of a model's weights as floats, tensor after tensor in the order of the layout:
/// adapters belong to exactly these.
class WeightsChecksum {
 public:
  /// Adds parameters[entry.offset..].
  void add(const TensorEntry& entry, const float* parameters) noexcept;
  /// Returns the sum of what was added, in hex.
  std::string text() const;

 private:
  std::uint32_t crc_ = 0;
};

}  // namespace cllm
