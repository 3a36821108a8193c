// A model config is the shape of a GPT-2 model; each field names its key in Hugging Face's
// config.json.
#pragma once

#include <cstdint>

namespace cllm {

/// Says what part is dropped in training, each in [0, 1). Evaluation and generation drop nothing.
struct DropoutRates {
  double embedding = 0;  ///< embd_pdrop: the sum of token and position embedding
  double attention = 0;  ///< attn_pdrop: the weights that softmax gives
  double residual = 0;   ///< resid_pdrop: what attention and the hidden layer add
  bool any() const noexcept { return embedding > 0 || attention > 0 || residual > 0; }
};

inline bool operator==(const DropoutRates& a, const DropoutRates& b) noexcept {
  return a.embedding == b.embedding && a.attention == b.attention && a.residual == b.residual;
}

/// Letters in shapes: L layers, H heads, C width, T context, V' vocabulary.
struct ModelConfig {
  std::int64_t layers = 4;        ///< L, n_layer
  std::int64_t heads = 4;         ///< H, n_head; divides width
  std::int64_t width = 128;       ///< C, n_embd
  std::int64_t context = 64;      ///< T, n_positions: longest sequence
  std::int64_t vocabulary = 257;  ///< V', vocab_size
  bool bias = true;               ///< false: biases stay zero and frozen (kept under "cllm")
  int symmetry_order = 12;        ///< V of the sphere structure (kept under "cllm")
  DropoutRates dropout = {};

  std::int64_t head_width() const noexcept { return width / heads; }
  std::int64_t hidden() const noexcept { return 4 * width; }
};

inline bool operator==(const ModelConfig& a, const ModelConfig& b) noexcept {
  return a.layers == b.layers && a.heads == b.heads && a.width == b.width &&
         a.context == b.context && a.vocabulary == b.vocabulary && a.bias == b.bias &&
         a.symmetry_order == b.symmetry_order && a.dropout == b.dropout;
}

// These are the largest sizes, and the most parameters that they may make together. So no product
// of sizes overflows, and the plan of an impossible model stays small.
constexpr std::int64_t kMostLayers = 1 << 14;
constexpr std::int64_t kMostHeads = 1 << 14;
constexpr std::int64_t kMostWidth = 1 << 17;
constexpr std::int64_t kMostContext = 1 << 24;
constexpr std::int64_t kMostVocabulary = 1 << 24;
constexpr std::int64_t kMostParameters = 100'000'000'000;

/// Throws InputError naming the option (layers, heads, dim, seq, vocab) when a value is not
/// allowed, or when together they make too large a model.
void check(const ModelConfig& config);

/// Returns how many numbers all tensors of the model have, without planning it; the largest integer
/// when they are more than that.
std::int64_t parameter_count(const ModelConfig& config) noexcept;

}  // namespace cllm
