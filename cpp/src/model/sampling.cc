#include "model/sampling.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/rng.h"
#include "cllm/error.h"
#include "cllm/wording.h"

namespace cllm {
namespace {

struct Candidate {
  std::int32_t token;
  double weight;  // exp of the scaled logit, relative to the largest
};

/// Puts the more likely one first, and of equals the smaller token, so that every platform agrees.
bool before(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
}

/// Keeps only the k most likely.
void keep_top_k(std::vector<Candidate>& candidates, std::int64_t k) {
  if (k == 0 || static_cast<std::size_t>(k) >= candidates.size()) return;
  std::nth_element(candidates.begin(), candidates.begin() + (k - 1), candidates.end(), before);
  candidates.resize(static_cast<std::size_t>(k));
}

/// Keeps only the most likely that are needed to reach probability p, and at least one.
void keep_top_p(std::vector<Candidate>& candidates, double p) {
  if (p >= 1) return;
  double total = 0;
  for (const Candidate& candidate : candidates) total += candidate.weight;
  double reached = 0;
  std::size_t kept = 0;
  while (kept < candidates.size() && (kept == 0 || reached < p * total)) {
    reached += candidates[kept++].weight;
  }
  candidates.resize(kept);
}

}  // namespace

void check(const SamplingOptions& options) {
  const auto refuse = [](const std::string& name, double seen, const char* wanted) {
    std::string text = std::to_string(seen);
    throw InputError({"value out of range", text, wanted, name, ""});
  };
  if (!(options.temperature >= 0) || std::isinf(options.temperature)) {
    refuse(option_word("temperature"), options.temperature, "0 or more");
  }
  if (options.top_k < 0)
    refuse(option_word("top-k"), static_cast<double>(options.top_k), "0 or more");
  if (options.known < 0) refuse("known", static_cast<double>(options.known), "0 or more");
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    refuse(option_word("top-p"), options.top_p, "more than 0, at most 1");
  }
}

std::int32_t sample_token(Span<const float> logits, const SamplingOptions& options,
                          std::uint64_t position) {
  std::size_t best = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) {
      throw Error(ErrorParts{"the model's output is not a number",
                             "NaN for token " + std::to_string(i), "finite logits", "",
                             "the weights are damaged or training diverged"});
    }
    if (logits[i] > logits[best]) best = i;
  }
  if (options.temperature == 0 || options.top_k == 1 || std::isinf(logits[best])) {
    return static_cast<std::int32_t>(best);
  }

  std::vector<Candidate> candidates(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double distance = static_cast<double>(logits[i]) - static_cast<double>(logits[best]);
    candidates[i] = {static_cast<std::int32_t>(i), std::exp(distance / options.temperature)};
  }
  keep_top_k(candidates, options.top_k);
  std::sort(candidates.begin(), candidates.end(), before);
  keep_top_p(candidates, options.top_p);

  double total = 0;
  for (const Candidate& candidate : candidates) total += candidate.weight;
  const RandomBlock random = random_block(static_cast<std::uint64_t>(options.seed),
                                          RandomStream::kGeneration, 0, position);
  double left = uniform_double(random_bits64(random, 0)) * total;
  for (const Candidate& candidate : candidates) {
    if (left < candidate.weight) return candidate.token;
    left -= candidate.weight;
  }
  return candidates.front().token;  // rounding lost the last bit of the total
}

}  // namespace cllm
