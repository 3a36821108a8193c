#include "model/tensors.h"

#include <string>

#include "cllm/error.h"

namespace cllm {

std::string shape_text(const TokenArray& tokens) {
  return "[" + std::to_string(tokens.sequences) + ", " + std::to_string(tokens.length) + "]";
}

void check_tokens_shape(const char* name, const TokenArray& tokens, std::int64_t positions) {
  if (tokens.sequences < 1 || tokens.length < 1) {
    throw InputError(
        {"no tokens", "shape " + shape_text(tokens), "one sequence of one at least", name, ""});
  }
  if (tokens.length > positions) {
    throw InputError({"sequences are longer than the model's context",
                      "shape " + shape_text(tokens),
                      "at most " + std::to_string(positions) + " tokens each", name, ""});
  }
}

void check_tokens(const char* name, const TokenArray& tokens, std::int64_t positions,
                  std::int64_t vocabulary) {
  check_tokens_shape(name, tokens, positions);
  for (std::int64_t b = 0; b < tokens.sequences; ++b) {
    for (std::int64_t t = 0; t < tokens.length; ++t) {
      const std::int32_t token = tokens.data[b * tokens.length + t];
      if (token >= 0 && token < vocabulary) continue;
      throw InputError(
          {"token outside the vocabulary", std::to_string(token),
           "0 to " + std::to_string(vocabulary - 1),
           std::string(name) + "[" + std::to_string(b) + ", " + std::to_string(t) + "]",
           "was the text encoded with another tokenizer?"});
    }
  }
}

void check_same_shape(const TokenArray& inputs, const TokenArray& targets) {
  if (inputs.sequences == targets.sequences && inputs.length == targets.length) return;
  throw InputError({"targets have another shape than inputs", shape_text(targets),
                    shape_text(inputs), "targets", ""});
}

}  // namespace cllm
