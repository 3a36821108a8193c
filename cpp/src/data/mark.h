// A mark says of a token of an example whether it is trained, and whether the example begins there.
#pragma once

#include <cstdint>

namespace cllm {

/// Every token file of examples has a file of marks beside it, which is a token file too: a number
/// for each token, whose bits are these. So marks have checksums, and borders are in order whatever
/// the file holds.
struct Mark {
  static constexpr std::int32_t kTrained = 1;  ///< the token is predicted, and the loss counts it
  static constexpr std::int32_t kBegins = 2;   ///< an example begins with the token
  static constexpr std::int64_t kVocabulary = 4;
};

}  // namespace cllm
