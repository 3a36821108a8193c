#include "engine/evaluation_data.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/refuse.h"
#include "data/evaluation_examples.h"
#include "data/evaluation_windows.h"
#include "data/token_layout.h"

namespace cllm {

TokenSource open_for_evaluation(const std::string& path, const ModelConfig& model) {
  const DataFiles files = find_data_files(path);
  const std::int64_t vocabulary = knows_vocabulary(DataFile(files.judged().front()))
                                      ? 0
                                      : std::max(model.vocabulary, TokenLayout::kByteVocabulary);
  TokenSource source = open_files(files, files.judged(), vocabulary);
  source.verify();
  return source;
}

std::vector<std::string> text_files_for_evaluation(const std::string& path) {
  const DataFiles files = find_data_files(path);
  return is_text(DataFile(files.judged().front())) ? files.judged() : std::vector<std::string>{};
}

void check_readable(const TokenSource& source, const ModelConfig& model, bool byte_tokens) {
  if (source.is_bytes() && !byte_tokens) {
    refuse("text is read as bytes, and this model's tokens are others", source.kind(),
           "ids of the model's tokenizer", source.path());
  }
  const bool of_tokenizer = !source.is_bytes() && !source.tokenizer().empty() &&
                            source.vocabulary() != TokenLayout::kByteVocabulary;
  if (of_tokenizer && byte_tokens) {
    refuse("these are ids of a tokenizer, and this model's tokens are bytes",
           std::to_string(source.vocabulary()) + " different ones", "text, or a data set of bytes",
           source.path());
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

double bits_per_byte(double loss, const TokenSource& source, std::int64_t text_bytes) {
  const double bits = loss / std::log(2.0);
  const std::int64_t bytes = text_bytes > 0 ? text_bytes : source.bytes();
  if (bytes == source.size()) return bits;
  return bytes > 0 ? bits * static_cast<double>(source.size()) / static_cast<double>(bytes) : 0;
}

std::int64_t longest_sequence(const TokenSource& source, std::int64_t context) {
  return std::min(context, source.has_marks() ? Examples(source).longest() : source.size() - 1);
}

std::unique_ptr<EvaluationRows> rows_to_evaluate(const TokenSource& source, std::int64_t sequence,
                                                 std::int64_t tokens, std::int32_t border) {
  if (!source.has_marks()) {
    return std::make_unique<EvaluationWindows>(whole(source), sequence, tokens, border);
  }
  auto rows = std::make_shared<const ExampleRows>(std::make_shared<const Examples>(source),
                                                  sequence, Packing::kBestFit);
  if (rows->size() == 0) {
    refuse("no example has anything to predict within the length of a sequence",
           std::to_string(sequence) + " tokens", "an answer that begins before", source.path());
  }
  return std::make_unique<EvaluationExamples>(std::move(rows), tokens);
}

EvaluationReport evaluation_of(const TokenSource& source, const EvaluationRows& rows,
                               std::int64_t step, double loss, std::int64_t text_bytes) {
  EvaluationReport report;
  report.step = step;
  report.validation_loss = loss;
  report.val_tokens = rows.targets();
  report.val_tokens_total = rows.targets_total();
  report.bits_per_byte = source.has_marks() ? 0 : bits_per_byte(loss, source, text_bytes);
  return report;
}

}  // namespace cllm
