#include "model/tensors.h"

#include <string>

#include "base/token_rows.h"
#include "cllm/error.h"
#include "cllm/wording.h"

namespace cllm {
namespace {

bool is_token(std::int32_t token, std::int64_t vocabulary) {
  return token >= 0 && token < vocabulary;
}

ErrorParts not_a_token(std::int32_t token, std::int64_t vocabulary, const char* also) {
  return {"token outside the vocabulary", std::to_string(token),
          "0 to " + std::to_string(vocabulary - 1) + also, "",
          "was the text encoded with another tokenizer?"};
}

/// Throws InputError with the parts of describe(t, value) for the first value, at place t of its
/// sequence, that is not allowed(t, value). Both get a pointer to it.
template <class Allowed, class Describe>
void check_values(const char* name, const TokenArray& values, Allowed allowed, Describe describe) {
  for (std::int64_t b = 0; b < values.sequences; ++b) {
    for (std::int64_t t = 0; t < values.length; ++t) {
      const std::int32_t* const value = values.data + b * values.length + t;
      if (allowed(t, value)) continue;
      ErrorParts parts = describe(t, value);
      parts.where = std::string(name) + "[" + std::to_string(b) + ", " + std::to_string(t) + "]";
      throw InputError(parts);
    }
  }
}

}  // namespace

void check_count(std::int64_t tokens) {
  if (tokens >= 0) return;
  throw InputError(
      {"value out of range", std::to_string(tokens), "0 or more", option_word("tokens"), ""});
}

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
  check_values(
      name, tokens,
      [&](std::int64_t, const std::int32_t* token) { return is_token(*token, vocabulary); },
      [&](std::int64_t, const std::int32_t* token) { return not_a_token(*token, vocabulary, ""); });
}

void check_same_shape(const TokenArray& inputs, const TokenArray& rows, const char* name) {
  if (inputs.sequences == rows.sequences && inputs.length == rows.length) return;
  throw InputError({std::string(name) + " have another shape than inputs", shape_text(rows),
                    shape_text(inputs), name, ""});
}

void check_targets(const TokenArray& inputs, const TokenArray& targets, std::int64_t vocabulary) {
  check_same_shape(inputs, targets);
  check_values(
      "targets", targets,
      [&](std::int64_t, const std::int32_t* target) {
        return *target == kNotCounted || is_token(*target, vocabulary);
      },
      [&](std::int64_t, const std::int32_t* target) {
        return not_a_token(*target, vocabulary, ", or -1 for one that is not counted");
      });
}

void check_first_keys(const TokenArray& inputs, const TokenArray& first_keys) {
  if (first_keys.data == nullptr) return;
  check_same_shape(inputs, first_keys, "first_keys");
  check_values(
      "first_keys", first_keys,
      [](std::int64_t t, const std::int32_t* first) {
        return *first == t || (t > 0 && *first == first[-1]);
      },
      [](std::int64_t t, const std::int32_t* first) {
        const std::string before = t > 0 ? std::to_string(first[-1]) + " as before it, or " : "";
        return ErrorParts{"no document begins there", std::to_string(*first),
                          before + std::to_string(t), "",
                          "each token has the index of the first token of its document"};
      });
}

}  // namespace cllm
