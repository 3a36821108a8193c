#include "cllm/model_config.h"

#include <array>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>

#include "cllm/error.h"

namespace cllm {
namespace {

constexpr std::array<const char*, 4> kFamilies = {"gpt2", "llama", "qwen2", "qwen3"};
constexpr std::array<const char*, 5> kActivations = {"", "gelu_new", "gelu", "relu", "silu"};

/// Returns the number of a name in a list that an enumeration numbers.
template <class Enum, std::size_t kCount>
std::optional<Enum> named(const std::array<const char*, kCount>& names, const std::string& name) {
  for (std::size_t i = 0; i < kCount; ++i) {
    if (name == names[i]) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

void check_size(std::int64_t value, std::int64_t most, const char* option) {
  if (value < 1) throw InputError({"too small", std::to_string(value), "1 or more", option, ""});
  if (value > most) {
    throw InputError(
        {"too large", std::to_string(value), "at most " + std::to_string(most), option, ""});
  }
}

/// Does the same for what may be 0, which stands for another number.
void check_given(std::int64_t value, std::int64_t most, const char* option) {
  if (value != 0) check_size(value, most, option);
}

void check_rate(double value, const char* option) {
  if (value >= 0 && value < 1) return;
  throw InputError({"not a part that can be dropped", std::to_string(value),
                    "at least 0 and below 1", option, ""});
}

/// Takes the numbers that a config.json may hold.
void check_number(double value, double least, double most, const char* option) {
  if (value >= least && value <= most) return;
  std::ostringstream seen, wanted;
  seen << value;
  wanted << least << " to " << most;
  throw InputError({"out of range", seen.str(), wanted.str(), option, ""});
}

/// Throws for what other models of the family do not have.
void check_of_family(bool has, const ModelConfig& config, const std::string& what,
                     const std::string& wanted, const char* option) {
  if (has) return;
  throw InputError({std::string("not a model of the family ") + family_name(config.family), what,
                    wanted, option, ""});
}

void check_heads(const ModelConfig& config) {
  check_given(config.kv_heads, config.heads, "kv-heads");
  check_given(config.head_dim, kMostWidth, "head-dim");
  const std::string heads = std::to_string(config.heads) + " heads";
  if (config.head_dim == 0 && config.width % config.heads != 0) {
    throw InputError({"the heads do not divide the width",
                      heads + ", dim " + std::to_string(config.width),
                      "a dim that is a multiple of heads", "heads", ""});
  }
  if (config.heads % config.key_value_heads() != 0) {
    throw InputError({"the heads are no multiple of those of keys and values",
                      heads + ", " + std::to_string(config.key_value_heads()) + " of keys",
                      "a number that divides heads", "kv-heads", ""});
  }
  check_size(config.query_width(), kMostWidth, "heads");
  if (config.is_gpt2()) {
    check_of_family(config.key_value_heads() == config.heads, config,
                    std::to_string(config.key_value_heads()) + " heads of keys", "as many as heads",
                    "kv-heads");
    check_of_family(config.query_width() == config.width, config,
                    heads + " of width " + std::to_string(config.head_width()),
                    "heads that are as wide as the model together", "head-dim");
  } else {
    check_of_family(config.head_width() % 2 == 0, config,
                    "heads of width " + std::to_string(config.head_width()),
                    "an even width, of pairs that turn", "head-dim");
  }
}

void check_numbers(const ModelConfig& config) {
  check_rate(config.dropout.embedding, "embd_pdrop");
  check_rate(config.dropout.attention, "attn_pdrop");
  check_rate(config.dropout.residual, "resid_pdrop");
  check_number(config.norm_epsilon(), 1e-12, 1, "norm epsilon");
  check_number(config.rope_theta, 1e-6, 1e15, "rope-theta");
  check_number(config.initializer_range, 1e-12, 1e6, "initializer_range");
  if (!config.rope_scaling) return;
  const Llama3Scaling& scaling = *config.rope_scaling;
  check_number(scaling.factor, 1, 1e6, "rope_scaling: factor");
  check_number(scaling.low_frequency, 1e-6, 1e6, "rope_scaling: low_freq_factor");
  check_number(scaling.high_frequency, std::nextafter(scaling.low_frequency, 1e6), 1e6,
               "rope_scaling: high_freq_factor");
  check_size(scaling.original, kMostContext, "rope_scaling: original_max_position_embeddings");
}

/// These are sums and products that stay at the largest integer when they would pass it.
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
std::int64_t product(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t out = 0;
  return __builtin_mul_overflow(a, b, &out) ? kMost : out;
}
std::int64_t sum(std::int64_t a, std::int64_t b) noexcept {
  std::int64_t out = 0;
  return __builtin_add_overflow(a, b, &out) ? kMost : out;
}

}  // namespace

std::int64_t ModelConfig::hidden() const noexcept {
  if (hidden_dim > 0) return hidden_dim;
  return is_gpt2() ? product(4, width) : sum(product(8, width), 3 * 64 - 1) / (3 * 64) * 64;
}

Activation ModelConfig::activation() const noexcept {
  if (activation_kind != Activation::kOfFamily) return activation_kind;
  return is_gpt2() ? Activation::kGeluNew : Activation::kSilu;
}

double ModelConfig::norm_epsilon() const noexcept {
  if (epsilon != 0) return epsilon;
  return is_gpt2() ? 1e-5 : 1e-6;
}

bool operator==(const ModelConfig& a, const ModelConfig& b) noexcept {
  return a.family == b.family && a.layers == b.layers && a.heads == b.heads &&
         a.key_value_heads() == b.key_value_heads() && a.head_width() == b.head_width() &&
         a.width == b.width && a.hidden() == b.hidden() && a.context == b.context &&
         a.vocabulary == b.vocabulary && a.bias == b.bias && a.activation() == b.activation() &&
         a.norm_epsilon() == b.norm_epsilon() && a.rope_theta == b.rope_theta &&
         a.rope_scaling == b.rope_scaling && a.tied_head == b.tied_head &&
         a.initializer_range == b.initializer_range && a.scale_by_layer == b.scale_by_layer &&
         a.symmetry_order == b.symmetry_order && a.dropout == b.dropout;
}

const char* family_name(Family family) noexcept {
  return kFamilies[static_cast<std::size_t>(family)];
}
std::optional<Family> family_named(const std::string& name) noexcept {
  return named<Family>(kFamilies, name);
}
const char* activation_name(Activation activation) noexcept {
  return kActivations[static_cast<std::size_t>(activation)];
}
std::optional<Activation> activation_named(const std::string& name) noexcept {
  return named<Activation>(kActivations, name);
}

void check(const ModelConfig& config) {
  check_size(config.layers, kMostLayers, "layers");
  check_size(config.heads, kMostHeads, "heads");
  check_size(config.width, kMostWidth, "dim");
  check_size(config.context, kMostContext, "seq");
  check_size(config.vocabulary, kMostVocabulary, "vocab");
  check_heads(config);
  check_given(config.hidden_dim, 8 * kMostWidth, "hidden");
  const bool gated = config.activation() == Activation::kSilu;
  check_of_family(gated != config.is_gpt2(), config, activation_name(config.activation()),
                  config.is_gpt2() ? "gelu_new, gelu or relu" : "silu", "activation");
  check_of_family(config.is_gpt2() || !config.scale_by_layer, config,
                  "scores divided by the layer's number", "not so",
                  "scale_attn_by_inverse_layer_idx");
  check_size(config.symmetry_order, kMostSymmetry, "symmetry");
  check_numbers(config);
  const std::int64_t parameters = parameter_count(config);
  if (parameters > kMostParameters) {
    throw InputError({"the model is too large", std::to_string(parameters) + " parameters",
                      "at most " + std::to_string(kMostParameters), "layers, dim, vocab, seq", ""});
  }
}

std::int64_t parameter_count(const ModelConfig& config) noexcept {
  const std::int64_t C = config.width, F = config.hidden(), D = config.head_width();
  const std::int64_t Q = product(config.heads, D);
  const std::int64_t qkv = sum(Q, product(2, product(config.key_value_heads(), D)));
  const bool gpt2 = config.is_gpt2();
  std::int64_t layer = sum(product(qkv, C), product(Q, C));  // attention's two matrices
  layer = sum(layer, product(gpt2 ? 2 : 3, product(F, C)));  // the hidden layer's
  layer = sum(layer, gpt2 ? sum(product(6, C), F)
                          : product(2, C));  // norms, biases of what adds to the stream
  if (config.has_qkv_biases()) layer = sum(layer, qkv);
  if (config.has_head_norms()) layer = sum(layer, product(2, D));
  std::int64_t rows = sum(config.vocabulary, gpt2 ? sum(config.context, 2) : 1);
  if (!config.tied_head) rows = sum(rows, config.vocabulary);
  return sum(product(rows, C), product(config.layers, layer));
}

}  // namespace cllm
