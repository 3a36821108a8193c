// Llama (Touvron et al. 2023) and what Qwen changed in it: RMS norms, rotary positions, heads of
// keys and values that serve several heads of queries, and a hidden layer with a gate.
#include "model/network.h"

#include <string>

namespace cllm {
namespace {

/// A part of a linear map that has a name of its own in the files.
struct Part {
  const char* name;
  std::int64_t outputs;
};

/// Adds tensors under the names of one model.
class Naming {
 public:
  explicit Naming(TensorTable& table) : table_(table) {}

  Embedding embedding(const std::string& name, std::int64_t rows, std::int64_t width) {
    return {rows, width, table_.add(name + ".weight", {rows, width}, Initialization::kNormal)};
  }
  Norm norm(const std::string& name, std::int64_t width) {
    Norm norm;
    norm.kind = NormKind::kRms;
    norm.weight = table_.add(name + ".weight", {width}, Initialization::kOnes);
    return norm;
  }
  /// Adds one linear map, whose weight [outputs, inputs] is that of several parts one below the
  /// other: one product makes them all.
  Linear linear(const std::string& layer, const std::vector<Part>& parts, std::int64_t inputs,
                bool bias, InputFrom from, Epilogue epilogue) {
    Linear linear;
    linear.inputs = inputs;
    linear.order = WeightOrder::kOutIn;
    linear.from = from;
    linear.epilogue = epilogue;
    std::vector<TensorPart> weights, biases;
    for (const Part& part : parts) {
      linear.outputs += part.outputs;
      weights.push_back({layer + part.name + ".weight", {part.outputs, inputs}});
      biases.push_back({layer + part.name + ".bias", {part.outputs}});
    }
    linear.weight = table_.add(weights, Initialization::kNormal);
    if (bias) linear.bias = table_.add(biases, Initialization::kZeros);
    return linear;
  }

 private:
  TensorTable& table_;
};

}  // namespace

Network describe_llama(const ModelConfig& config, TensorTable& table) {
  const std::int64_t C = config.width, F = config.hidden(), D = config.head_width();
  const std::int64_t Q = config.query_width(), K = config.key_width();
  Naming add(table);
  Network network;
  network.token_embedding = add.embedding("model.embed_tokens", config.vocabulary, C);
  for (std::int64_t l = 0; l < config.layers; ++l) {
    const std::string at = "model.layers." + std::to_string(l) + ".";
    NetworkLayer layer;
    auto& [qkv, projection, hidden, output] = layer.linears;
    layer.norm1 = add.norm(at + "input_layernorm", C);
    qkv = add.linear(at + "self_attn.", {{"q_proj", Q}, {"k_proj", K}, {"v_proj", K}}, C,
                     config.has_qkv_biases(), InputFrom::kNorm, Epilogue::kHeads);
    if (config.has_head_norms()) {
      layer.query_norm = add.norm(at + "self_attn.q_norm", D);
      layer.key_norm = add.norm(at + "self_attn.k_norm", D);
    }
    projection = add.linear(at + "self_attn.", {{"o_proj", C}}, Q, false, InputFrom::kAttention,
                            Epilogue::kResidual);
    layer.norm2 = add.norm(at + "post_attention_layernorm", C);
    hidden = add.linear(at + "mlp.", {{"gate_proj", F}, {"up_proj", F}}, C, false, InputFrom::kNorm,
                        Epilogue::kGated);
    output = add.linear(at + "mlp.", {{"down_proj", C}}, F, false, InputFrom::kActivation,
                        Epilogue::kResidual);
    network.layers.push_back(layer);
  }
  network.final_norm = add.norm("model.norm", C);
  network.head.inputs = C;
  network.head.outputs = config.vocabulary;
  network.head.order = WeightOrder::kOutIn;
  network.head.weight = config.tied_head ? network.token_embedding.weight
                                         : add.embedding("lm_head", config.vocabulary, C).weight;
  return network;
}

}  // namespace cllm
