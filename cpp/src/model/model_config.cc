#include "cllm/model_config.h"

#include <string>

#include "cllm/error.h"

namespace cllm {
namespace {

void at_least_one(std::int64_t value, const char* option) {
  if (value >= 1) return;
  throw InputError({"too small", std::to_string(value), "1 or more", option, ""});
}

void check_rate(double value, const char* option) {
  if (value >= 0 && value < 1) return;
  throw InputError({"not a part that can be dropped", std::to_string(value),
                    "at least 0 and below 1", option, ""});
}

}  // namespace

void check(const ModelConfig& config) {
  at_least_one(config.layers, "layers");
  at_least_one(config.heads, "heads");
  at_least_one(config.width, "dim");
  at_least_one(config.positions, "seq");
  at_least_one(config.vocabulary, "vocab");
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
}

}  // namespace cllm
