// GPT-2 (Radford et al. 2019): layer norms, learned positions, biases everywhere, and the token
// embedding again as the head.
#include "model/network.h"

#include <string>

namespace cllm {
namespace {

/// Adds tensors under the names of one model.
class Naming {
 public:
  Naming(const ModelConfig& config, TensorTable& table) : config_(config), table_(table) {}

  Embedding embedding(const std::string& name, std::int64_t rows) {
    const std::int64_t C = config_.width;
    return {rows, C, table_.add(name + ".weight", {rows, C}, Initialization::kNormal)};
  }
  Norm norm(const std::string& name) {
    const std::int64_t C = config_.width;
    Norm norm;
    norm.weight = table_.add(name + ".weight", {C}, Initialization::kOnes);
    norm.bias = table_.add(name + ".bias", {C}, Initialization::kZeros, !config_.bias);
    return norm;
  }
  Linear linear(const std::string& name, std::int64_t inputs, std::int64_t outputs, InputFrom from,
                Epilogue epilogue) {
    const bool adds = epilogue == Epilogue::kResidual;
    const Initialization filled = adds ? Initialization::kResidual : Initialization::kNormal;
    Linear linear;
    linear.inputs = inputs;
    linear.outputs = outputs;
    linear.weight = table_.add(name + ".weight", {inputs, outputs}, filled);
    linear.bias = table_.add(name + ".bias", {outputs}, Initialization::kZeros, !config_.bias);
    linear.from = from;
    linear.epilogue = epilogue;
    return linear;
  }

 private:
  const ModelConfig& config_;
  TensorTable& table_;
};

}  // namespace

Network describe_gpt2(const ModelConfig& config, TensorTable& table) {
  const std::int64_t C = config.width, F = config.hidden();
  Naming add(config, table);
  Network network;
  network.token_embedding = add.embedding("transformer.wte", config.vocabulary);
  network.position_embedding = add.embedding("transformer.wpe", config.context);
  for (std::int64_t l = 0; l < config.layers; ++l) {
    const std::string h = "transformer.h." + std::to_string(l) + ".";
    NetworkLayer layer;
    auto& [qkv, projection, hidden, output] = layer.linears;
    layer.norm1 = add.norm(h + "ln_1");
    qkv = add.linear(h + "attn.c_attn", C, 3 * C, InputFrom::kNorm, Epilogue::kBias);
    projection = add.linear(h + "attn.c_proj", C, C, InputFrom::kAttention, Epilogue::kResidual);
    layer.norm2 = add.norm(h + "ln_2");
    hidden = add.linear(h + "mlp.c_fc", C, F, InputFrom::kNorm, Epilogue::kActivation);
    output = add.linear(h + "mlp.c_proj", F, C, InputFrom::kActivation, Epilogue::kResidual);
    network.layers.push_back(layer);
  }
  network.final_norm = add.norm("transformer.ln_f");
  network.head.inputs = C;
  network.head.outputs = config.vocabulary;
  network.head.order = WeightOrder::kOutIn;
  network.head.weight = config.tied_head ? network.token_embedding.weight
                                         : add.embedding("lm_head", config.vocabulary).weight;
  return network;
}

}  // namespace cllm
