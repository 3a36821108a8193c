// Documents of a text that share a sequence are told apart by the token that stands between them.
#pragma once

#include <cstdint>

namespace cllm {

/// Is no token: documents are not told apart.
constexpr std::int32_t kNoBorder = -1;

/// Fills first_keys[count] of a sequence: for each token, where its document begins in the
/// sequence. A document begins with the end of the one before. So the last token of a document
/// predicts that end, and the end, which sees nothing else, the first token of the next: nothing
/// that can be learned is left out, and a new text begins as it does in training.
inline void find_documents(const std::int32_t* tokens, std::int64_t count, std::int32_t border,
                           std::int32_t* first_keys) noexcept {
  std::int32_t first = 0;
  for (std::int64_t t = 0; t < count; ++t) {
    if (tokens[t] == border) first = static_cast<std::int32_t>(t);
    first_keys[t] = first;
  }
}

}  // namespace cllm
