// Where each tensor lies in the flat parameter range that parameters, gradient and moments share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cllm/model_config.h"

namespace cllm {

/// One tensor of the model, named as Hugging Face's GPT-2 names it ("transformer.h.0.attn...").
struct TensorEntry {
  std::string name;
  std::vector<std::int64_t> shape;
  std::int64_t offset;  ///< first element in the flat range; a multiple of 16
  std::int64_t size;    ///< product of shape
  bool decays;          ///< weight decay applies: tensors of two dimensions
  bool frozen;          ///< never updated: biases of a --no-bias model
};

/// At most kBlockSize consecutive elements of one tensor: the unit of reduction and optimizer.
struct Block {
  std::int32_t tensor;
  std::int64_t offset;
  std::int64_t size;
};
constexpr std::int64_t kBlockSize = 65536;

/// Offsets of one layer's tensors. Weights are stored [in, out] as GPT-2's Conv1D does.
struct LayerOffsets {
  std::int64_t ln1_weight, ln1_bias;    // [C]
  std::int64_t qkv_weight, qkv_bias;    // [C, 3C], [3C]
  std::int64_t proj_weight, proj_bias;  // [C, C], [C]
  std::int64_t ln2_weight, ln2_bias;    // [C]
  std::int64_t fc_weight, fc_bias;      // [C, 4C], [4C]
  std::int64_t out_weight, out_bias;    // [4C, C], [C]
};

/// Immutable after construction.
class ParameterLayout {
 public:
  explicit ParameterLayout(const ModelConfig& config);

  const std::vector<TensorEntry>& tensors() const noexcept { return tensors_; }
  const std::vector<Block>& blocks() const noexcept { return blocks_; }
  const LayerOffsets& layer(std::int64_t l) const noexcept { return layers_[l]; }
  std::int64_t token_embedding() const noexcept { return token_embedding_; }        // [V', C]
  std::int64_t position_embedding() const noexcept { return position_embedding_; }  // [T, C]
  std::int64_t final_weight() const noexcept { return final_weight_; }              // [C]
  std::int64_t final_bias() const noexcept { return final_bias_; }                  // [C]
  /// Length of the flat range, padding between tensors included (padding is always zero).
  std::int64_t flat_size() const noexcept { return flat_size_; }
  /// Number of parameters, padding excluded.
  std::int64_t parameters() const noexcept { return parameters_; }
  /// Parameters that multiply, tied head included: what the 6 P' of the MFU counts.
  std::int64_t multiplying_parameters() const noexcept { return multiplying_; }

 private:
  std::int64_t add(const std::string& name, std::vector<std::int64_t> shape, bool frozen);

  std::vector<TensorEntry> tensors_;
  std::vector<Block> blocks_;
  std::vector<LayerOffsets> layers_;
  std::int64_t token_embedding_ = 0, position_embedding_ = 0, final_weight_ = 0, final_bias_ = 0;
  std::int64_t flat_size_ = 0, parameters_ = 0, multiplying_ = 0;
};

}  // namespace cllm
