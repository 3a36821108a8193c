#include "model/decode.h"

#include <algorithm>

#include "model/sampling.h"

namespace cllm {

void decode(Generator& generator, const std::vector<std::int32_t>& prompt, std::int64_t count,
            const SamplingOptions& options, std::int64_t vocabulary,
            const std::vector<std::int32_t>& ends,
            const std::function<bool(std::int32_t)>& on_token) {
  const std::int64_t known = options.known > 0 ? std::min(vocabulary, options.known) : vocabulary;
  Span<const float> logits = generator.read_on(prompt);
  for (std::int64_t i = 0;; ++i) {
    const std::int32_t token = sample_token(logits.subspan(0, static_cast<std::size_t>(known)),
                                            options, static_cast<std::uint64_t>(i));
    if (std::find(ends.begin(), ends.end(), token) != ends.end()) return;
    if (!on_token(token) || i + 1 == count) return;
    logits = generator.step(token);
  }
}

std::int64_t tokens_read(const std::vector<std::int32_t>& prompt, std::int64_t count,
                         std::int64_t context) noexcept {
  // The last one is not read.
  return static_cast<std::int64_t>(prompt.size()) + std::min(count - 1, context);
}

}  // namespace cllm
