#include "cllm/model_config.h"

#include <limits>
#include <string>

#include "cllm/error.h"

namespace cllm {
namespace {

void check_size(std::int64_t value, std::int64_t most, const char* option) {
  if (value < 1) throw InputError({"too small", std::to_string(value), "1 or more", option, ""});
  if (value > most) {
    throw InputError(
        {"too large", std::to_string(value), "at most " + std::to_string(most), option, ""});
  }
}

void check_rate(double value, const char* option) {
  if (value >= 0 && value < 1) return;
  throw InputError({"not a part that can be dropped", std::to_string(value),
                    "at least 0 and below 1", option, ""});
}

}  // namespace

void check(const ModelConfig& config) {
  check_size(config.layers, kMostLayers, "layers");
  check_size(config.heads, kMostHeads, "heads");
  check_size(config.width, kMostWidth, "dim");
  check_size(config.context, kMostContext, "seq");
  check_size(config.vocabulary, kMostVocabulary, "vocab");
  if (config.width % config.heads != 0) {
    throw InputError({"the heads do not divide the width",
                      std::to_string(config.heads) + " heads, dim " + std::to_string(config.width),
                      "a dim that is a multiple of heads", "heads", ""});
  }
  if (config.symmetry_order < 2) {
    throw InputError({"the symmetry order is too small", std::to_string(config.symmetry_order),
                      "2 or more", "symmetry", ""});
  }
  check_rate(config.dropout.embedding, "embd_pdrop");
  check_rate(config.dropout.attention, "attn_pdrop");
  check_rate(config.dropout.residual, "resid_pdrop");
  const std::int64_t parameters = parameter_count(config);
  if (parameters > kMostParameters) {
    throw InputError({"the model is too large", std::to_string(parameters) + " parameters",
                      "at most " + std::to_string(kMostParameters), "layers, dim, vocab, seq", ""});
  }
}

std::int64_t parameter_count(const ModelConfig& config) noexcept {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const auto product = [](std::int64_t a, std::int64_t b) {
    std::int64_t out = 0;
    return __builtin_mul_overflow(a, b, &out) ? kMost : out;
  };
  const auto sum = [](std::int64_t a, std::int64_t b) {
    std::int64_t out = 0;
    return __builtin_add_overflow(a, b, &out) ? kMost : out;
  };
  const std::int64_t C = config.width;
  // A layer has matrices of C x 3C, C x C, C x 4C and 4C x C, and vectors of 13 C in all.
  const std::int64_t layer = sum(product(12, product(C, C)), product(13, C));
  const std::int64_t rows = sum(sum(config.vocabulary, config.context), 2);
  return sum(product(rows, C), product(config.layers, layer));
}

}  // namespace cllm
