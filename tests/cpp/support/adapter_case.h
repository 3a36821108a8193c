// Tests of adapters take these models, beside which the same models with merged weights stand in
// double.
#pragma once

#include <string>
#include <vector>

#include "gradient_case.h"
#include "model/adapters.h"

namespace cllm {

struct AdapterCase {
  GradientCase model;
  LoraConfig lora;
};

inline LoraConfig lora(std::int64_t rank, std::vector<std::string> targets = {kAllLinear},
                       double alpha = 8, bool rslora = false) {
  LoraConfig config;
  config.rank = rank;
  config.alpha = alpha;
  config.rslora = rslora;
  config.targets = std::move(targets);
  return config;
}

/// Returns the same with embedding and head trained beside the adapters, or what is named of them.
inline LoraConfig beside(LoraConfig config, std::vector<std::string> modules = {kEmbeddings}) {
  config.modules_to_save = std::move(modules);
  return config;
}

/// Every family, with adapters everywhere and on some linear maps only: the lowest one is each site
/// once. Among the shapes are rows of whole tiles and wider ones, shards that accumulate, parts of
/// unequal width, ranks that are odd or wider than a tile, dropout of the model, and embeddings
/// that are trained too.
inline std::vector<AdapterCase> adapter_cases() {
  const auto family = [](Family of, std::int64_t kv_heads, std::int64_t hidden,
                         std::int64_t head_dim = 0) {
    return [=](ModelConfig& c) {
      c.family = of;
      c.kv_heads = kv_heads;
      c.hidden_dim = hidden;
      c.head_dim = head_dim;
    };
  };
  const auto llama = family(Family::kLlama, 1, 200), qwen2 = family(Family::kQwen2, 1, 37);
  const auto untied = [=](ModelConfig& c) {
    llama(c);
    c.tied_head = false;
  };
  const auto qwen3 = family(Family::kQwen3, 2, 100, 16), wide = family(Family::kLlama, 1, 150, 32);
  return {
      {{"Gpt2", 2, 5, 60, 40, 101, 33, {3}, true, 0}, lora(4)},
      {{"Gpt2Default", 2, 2, 12, 11, 47, 11, {3, 2}, true, 0}, lora(3, {"c_attn"}, 7)},
      {{"Gpt2LastOutput", 2, 2, 12, 11, 47, 11, {3, 2}, false, 0}, lora(2, {"mlp.c_proj"})},
      {{"Gpt2Wide", 2, 3, 132, 20, 31, 20, {2}, true, 0}, lora(130)},
      {{"Gpt2Dropout", 2, 2, 12, 70, 47, 67, {3, 2}, true, 0, {0.1, 0.3, 0.2}}, lora(4)},
      {{"LlamaDefault", 2, 5, 60, 40, 101, 33, {3}, true, 0, {}, llama, 1.5},
       lora(5, {"q_proj", "v_proj"}, 16, true)},
      {{"Llama", 2, 5, 60, 40, 101, 33, {3, 2}, true, 0, {}, llama}, lora(6)},
      {{"LlamaWide", 2, 4, 136, 20, 31, 20, {12}, true, 0, {}, wide},
       lora(4, {"gate_proj", "down_proj"})},
      {{"Qwen2", 2, 2, 24, 11, 47, 11, {3, 2}, true, 0, {}, qwen2, 1.5},
       lora(3, {"o_proj", "up_proj"})},
      {{"Qwen2RankOne", 2, 2, 24, 11, 47, 11, {3}, true, 0, {}, qwen2, 2},
       lora(1, {kAllLinear}, 1)},
      {{"Qwen3", 2, 4, 72, 40, 101, 33, {3, 2}, true, 0, {}, qwen3},
       lora(8, {"k_proj", "self_attn.o_proj", "up_proj"}, 4)},
      {{"Qwen3Wide", 2, 4, 136, 40, 31, 20, {12}, true, 0, {0, 0.1, 0.1}, qwen3}, lora(16)},
      {{"Gpt2Embeddings", 2, 5, 60, 40, 101, 33, {3, 2}, true, 0}, beside(lora(4), {"wte"})},
      {{"LlamaEmbeddings", 2, 5, 60, 40, 101, 33, {3}, true, 0, {}, llama},
       beside(lora(3, {"down_proj"}))},
      {{"LlamaUntied", 2, 5, 60, 40, 101, 33, {3, 2}, true, 0, {}, untied, 2}, beside(lora(3))},
      {{"LlamaTokens", 2, 5, 60, 40, 101, 33, {3, 2}, true, 0, {0.2, 0, 0}, untied},
       beside(lora(3, {"v_proj"}), {"embed_tokens"})},
      {{"LlamaHead", 2, 5, 60, 40, 101, 33, {3, 2}, true, 0, {}, untied},
       beside(lora(3, {"v_proj"}), {"lm_head"})},
  };
}

/// Returns adapters of a trained model's size: B differs from 0.
inline std::vector<float> lively_adapters(const ParameterLayout& layout) {
  std::vector<float> values(static_cast<std::size_t>(layout.trainables().flat_size()));
  std::mt19937 random(29);
  std::normal_distribution<float> normal;
  for (const TensorEntry& t : layout.trainables().tensors()) {
    const auto columns = static_cast<float>(t.shape[1]);
    for (std::int64_t i = 0; i < t.size; ++i) {
      values[static_cast<std::size_t>(t.offset + i)] = normal(random) / std::sqrt(columns) / 2;
    }
  }
  return values;
}

/// A model with adapters, and the gradient of these by the chain rule: W + s B A has the gradient
/// dW in a model without adapters, and so dB = s dW A^T and dA = s B^T dW.
struct AdaptedModel {
  explicit AdaptedModel(const AdapterCase& c)
      : plain(c.model),
        layout(plain.config, false, c.lora),
        adapters(lively_adapters(layout)),
        merged(plain.parameters),
        scale(c.lora.scale()) {
    merge_adapters(layout, adapters.data(), merged.data());
    ModelReferenceBackward reference(plain.config, plain.layout, merged.data(), plain.batch,
                                     &plain.source);
    loss = reference.loss();
    set_gradient(reference.gradient());
  }

  /// Returns the mean loss of the shards; their gradient is left in the runner.
  double run(const AdapterCase& c, ShardRunner& runner, TileOrder order) const {
    runner.adapters = adapters.data();
    return run_shards(c.model, plain, runner, order);
  }

  const Wanted plain;
  const ParameterLayout layout;
  const std::vector<float> adapters;
  std::vector<float> merged;
  double loss = 0;
  Doubles gradient;  // flat range of the trainables
  const double scale;

 private:
  void set_gradient(const Doubles& of_weights) {
    gradient.resize(adapters.size());
    for (std::int64_t l = 0; l < plain.config.layers; ++l) {
      for (const Linear& linear : layout.layer(l).linears) {
        for (std::size_t p = 0; p < linear.adapter.parts.size(); ++p) {
          add_part(linear, p, of_weights);
        }
      }
    }
    for (const TensorEntry& weight : layout.tensors()) {
      const std::int64_t at = layout.among_adapters(weight.offset);
      if (at == kAbsent) continue;
      std::copy_n(of_weights.begin() + weight.offset, weight.size, gradient.begin() + at);
    }
  }
  void add_part(const Linear& linear, std::size_t p, const Doubles& of_weights) {
    const AdapterPart& part = linear.adapter.parts[p];
    const std::int64_t r = linear.adapter.rank, inputs = linear.inputs;
    const std::int64_t a = linear.adapter.a + static_cast<std::int64_t>(p) * r * inputs;
    for (std::int64_t o = 0; o < part.outputs; ++o) {
      for (std::int64_t i = 0; i < inputs; ++i) {
        const std::int64_t output = part.first + o;
        const std::int64_t at =
            linear.order == WeightOrder::kInOut ? i * linear.outputs + output : output * inputs + i;
        const double dw = scale * of_weights[static_cast<std::size_t>(linear.weight + at)];
        for (std::int64_t k = 0; k < r; ++k) {
          const auto in_a = static_cast<std::size_t>(a + k * inputs + i);
          const auto in_b = static_cast<std::size_t>(part.b + o * r + k);
          gradient[in_a] += dw * double{adapters[in_b]};
          gradient[in_b] += dw * double{adapters[in_a]};
        }
      }
    }
  }
};

}  // namespace cllm
