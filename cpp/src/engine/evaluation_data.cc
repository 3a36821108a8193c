#include "engine/evaluation_data.h"

#include <algorithm>
#include <cmath>

#include "base/refuse.h"

namespace cllm {

TokenSource open_for_evaluation(const std::string& path, const ModelConfig& model) {
  TokenSource source(path, std::max(model.vocabulary, TokenLayout::kByteVocabulary));
  source.verify();
  return source;
}

void check_readable(const TokenSource& source, const ModelConfig& model, bool byte_tokens) {
  if (source.is_bytes() && !byte_tokens) {
    refuse("text is read as bytes, and this model's tokens are others", source.kind(),
           "ids of the model's tokenizer", source.path());
  }
  // Where all tokens were looked at, the largest one counts, not what was asked for.
  const std::int64_t needed =
      source.largest_token() >= 0 ? source.largest_token() + 1 : source.vocabulary();
  if (!source.is_bytes() && needed > model.vocabulary) {
    refuse("token outside the vocabulary", std::to_string(needed - 1),
           "0 to " + std::to_string(model.vocabulary - 1), source.path(),
           "was the text encoded with another tokenizer?");
  }
  if (source.size() < 2) {
    refuse("too little to evaluate", std::to_string(source.size()) + " token",
           "at least 2: one to see and one to predict", source.path());
  }
}

EvaluationReport evaluation_of(const TokenSource& source, std::int64_t step, double loss,
                               std::int64_t text_bytes) {
  EvaluationReport report;
  report.step = step;
  report.validation_loss = loss;
  report.val_tokens = report.val_tokens_total = source.size() - 1;
  const double bits = loss / std::log(2.0);
  const std::int64_t bytes = text_bytes > 0 ? text_bytes : source.bytes();
  if (source.is_bytes()) {
    report.bits_per_byte = bits;
  } else if (bytes > 0) {
    report.bits_per_byte = bits * static_cast<double>(source.size()) / static_cast<double>(bytes);
  }
  return report;
}

}  // namespace cllm
