// Sampling options say how generated tokens are drawn.
#pragma once

#include <cstdint>

namespace cllm {

/// Says how the next token is drawn. The filters apply in this order: temperature, top_k, top_p.
struct SamplingOptions {
  double temperature = 0.8;  ///< 0 takes the most likely token; lower is safer, higher more varied
  std::int64_t top_k = 0;    ///< only the k most likely tokens; 0 keeps all
  double top_p = 1.0;        ///< only the fewest tokens whose probabilities reach p; 1 keeps all
  std::int64_t seed = 1337;  ///< same seed, same text
  std::int64_t known = 0;  ///< only tokens below it: what the tokenizer knows of a vocabulary that
                           ///< was rounded up; 0 takes all
};

/// Throws InputError naming the option when a value is not allowed.
void check(const SamplingOptions& options);

}  // namespace cllm
