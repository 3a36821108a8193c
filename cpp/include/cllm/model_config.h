// A model config says what model it is: a family and its sizes. Each field names its key in the
// config.json of GPT-2, and of Llama where that has another; Qwen has Llama's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

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

/// Says how a model is built, as Hugging Face defines each (model_type).
enum class Family : std::uint8_t {
  kGpt2,   ///< layer norms, learned positions, biases everywhere
  kLlama,  ///< RMS norms, rotary positions, SwiGLU, no biases
  kQwen2,  ///< the same with biases on q, k and v
  kQwen3,  ///< the same as Llama with an RMS norm on each head of q and k
};

/// Says what the hidden layer applies (activation_function, hidden_act).
enum class Activation : std::uint8_t {
  kOfFamily,  ///< gelu_new in GPT-2, silu in the others
  kGeluNew,   ///< "gelu_new": GELU in the tanh form
  kGelu,      ///< "gelu": GELU by the normal distribution
  kRelu,      ///< "relu"
  kSilu,      ///< "silu", of a gate that multiplies another product: SwiGLU
};

/// Stretches slow turns of rotary positions, so that a model may see longer sequences than it was
/// trained on: rope_parameters, or the older rope_scaling, with rope_type "llama3".
struct Llama3Scaling {
  double factor = 8;         ///< factor: by this, turns slower than one in the original length
  double low_frequency = 1;  ///< low_freq_factor: turns in the original length, all stretched below
  double high_frequency = 4;     ///< high_freq_factor: and none above
  std::int64_t original = 8192;  ///< original_max_position_embeddings
};

inline bool operator==(const Llama3Scaling& a, const Llama3Scaling& b) noexcept {
  return a.factor == b.factor && a.low_frequency == b.low_frequency &&
         a.high_frequency == b.high_frequency && a.original == b.original;
}

/// Letters in shapes: L layers, H heads, C width, T context, V' vocabulary, D head width, F hidden
/// width. Fields that may be 0 stand for what a function of the same struct returns: read that.
struct ModelConfig {
  std::int64_t layers = 4;        ///< L, n_layer, num_hidden_layers
  std::int64_t heads = 4;         ///< H, n_head, num_attention_heads
  std::int64_t width = 128;       ///< C, n_embd, hidden_size
  std::int64_t context = 64;      ///< T, n_positions, max_position_embeddings: longest sequence
  std::int64_t vocabulary = 257;  ///< V', vocab_size
  bool bias = true;         ///< false: GPT-2's biases stay zero and frozen (kept under "cllm")
  int symmetry_order = 12;  ///< V of the sphere structure (kept under "cllm")
  DropoutRates dropout = {};
  Family family = Family::kGpt2;    ///< model_type
  std::int64_t kv_heads = 0;        ///< num_key_value_heads, which divides heads; 0: as many
  std::int64_t head_dim = 0;        ///< head_dim; 0: width / heads
  std::int64_t hidden_dim = 0;      ///< n_inner, intermediate_size; 0: that of the family
  Activation activation_kind = {};  ///< activation_function, hidden_act
  double epsilon = 0;               ///< layer_norm_epsilon, rms_norm_eps; 0: that of the family
  double rope_theta = 10000;        ///< rope_theta; GPT-2 has no rotary positions
  std::optional<Llama3Scaling> rope_scaling = std::nullopt;  ///< null: none
  bool tied_head = true;            ///< tie_word_embeddings: the token embedding is the head
  double initializer_range = 0.02;  ///< initializer_range: deviation of new weights
  bool scale_by_layer = false;      ///< scale_attn_by_inverse_layer_idx: GPT-2 only

  /// Heads of keys and values, each of which serves some neighbouring heads of queries.
  std::int64_t key_value_heads() const noexcept { return kv_heads > 0 ? kv_heads : heads; }
  /// D
  std::int64_t head_width() const noexcept {
    if (head_dim > 0) return head_dim;
    return heads > 0 ? width / heads : 0;
  }
  /// F: 4 C in GPT-2; in the others 8/3 C, the next multiple of 64, which makes as many weights.
  std::int64_t hidden() const noexcept;
  Activation activation() const noexcept;
  double norm_epsilon() const noexcept;
  /// Q and K, the columns of queries and of keys: D for each head.
  std::int64_t query_width() const noexcept { return heads * head_width(); }
  std::int64_t key_width() const noexcept { return key_value_heads() * head_width(); }
  /// Q + 2 K, the columns of queries, keys and values side by side.
  std::int64_t qkv_width() const noexcept { return query_width() + 2 * key_width(); }
  /// G, the heads of queries that one head of keys serves.
  std::int64_t head_group() const noexcept { return heads / key_value_heads(); }
  /// These follow from the family.
  bool is_gpt2() const noexcept { return family == Family::kGpt2; }
  bool is_gated() const noexcept { return !is_gpt2(); }
  bool has_qkv_biases() const noexcept { return is_gpt2() || family == Family::kQwen2; }
  bool has_head_norms() const noexcept { return family == Family::kQwen3; }
};

/// Compares what the models are: 0 equals the number that it stands for.
bool operator==(const ModelConfig& a, const ModelConfig& b) noexcept;

/// "gpt2", "llama", "qwen2", "qwen3": the model_type of config.json.
const char* family_name(Family family) noexcept;
std::optional<Family> family_named(const std::string& name) noexcept;
/// "gelu_new", "gelu", "relu", "silu", as config.json calls them; "" of the family.
const char* activation_name(Activation activation) noexcept;
std::optional<Activation> activation_named(const std::string& name) noexcept;

// These are the largest sizes, and the most parameters that they may make together. So no product
// of sizes overflows, and the plan of an impossible model stays small.
constexpr std::int64_t kMostLayers = 1 << 14;
constexpr std::int64_t kMostHeads = 1 << 14;
constexpr std::int64_t kMostWidth = 1 << 17;
constexpr std::int64_t kMostContext = 1 << 24;
constexpr std::int64_t kMostVocabulary = 1 << 24;
constexpr std::int64_t kMostSymmetry = 4096;
constexpr std::int64_t kMostParameters = 100'000'000'000;

/// Throws InputError naming the option (layers, heads, dim, seq, vocab, ...) when a value is not
/// allowed, or when together they make too large a model.
void check(const ModelConfig& config);

/// Returns how many numbers all tensors of the model have, without planning it; the largest integer
/// when they are more than that.
std::int64_t parameter_count(const ModelConfig& config) noexcept;

}  // namespace cllm
