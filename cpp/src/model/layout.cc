#include "model/layout.h"

#include <algorithm>

namespace cllm {

ParameterLayout::ParameterLayout(const ModelConfig& config) {
  const std::int64_t C = config.width, F = config.hidden();
  const bool no_bias = !config.bias;
  token_embedding_ = add("transformer.wte.weight", {config.vocabulary, C}, false);
  position_embedding_ = add("transformer.wpe.weight", {config.positions, C}, false);
  for (std::int64_t l = 0; l < config.layers; ++l) {
    const std::string h = "transformer.h." + std::to_string(l) + ".";
    LayerOffsets o;
    o.ln1_weight = add(h + "ln_1.weight", {C}, false);
    o.ln1_bias = add(h + "ln_1.bias", {C}, no_bias);
    o.qkv_weight = add(h + "attn.c_attn.weight", {C, 3 * C}, false);
    o.qkv_bias = add(h + "attn.c_attn.bias", {3 * C}, no_bias);
    o.proj_weight = add(h + "attn.c_proj.weight", {C, C}, false);
    o.proj_bias = add(h + "attn.c_proj.bias", {C}, no_bias);
    o.ln2_weight = add(h + "ln_2.weight", {C}, false);
    o.ln2_bias = add(h + "ln_2.bias", {C}, no_bias);
    o.fc_weight = add(h + "mlp.c_fc.weight", {C, F}, false);
    o.fc_bias = add(h + "mlp.c_fc.bias", {F}, no_bias);
    o.out_weight = add(h + "mlp.c_proj.weight", {F, C}, false);
    o.out_bias = add(h + "mlp.c_proj.bias", {C}, no_bias);
    layers_.push_back(o);
  }
  final_weight_ = add("transformer.ln_f.weight", {C}, false);
  final_bias_ = add("transformer.ln_f.bias", {C}, no_bias);
  multiplying_ = config.vocabulary * C + config.layers * 12 * C * C;
}

std::int64_t ParameterLayout::add(const std::string& name, std::vector<std::int64_t> shape,
                                  bool frozen) {
  std::int64_t size = 1;
  for (std::int64_t n : shape) size *= n;
  const std::int64_t offset = flat_size_;
  const auto tensor = static_cast<std::int32_t>(tensors_.size());
  const bool decays = shape.size() >= 2;
  tensors_.push_back({name, std::move(shape), offset, size, decays, frozen});
  for (std::int64_t i = 0; i < size; i += kBlockSize) {
    blocks_.push_back({tensor, offset + i, std::min(kBlockSize, size - i)});
  }
  parameters_ += size;
  flat_size_ = (offset + size + 15) / 16 * 16;
  return offset;
}

}  // namespace cllm
