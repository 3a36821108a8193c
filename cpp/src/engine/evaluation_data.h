// These functions let a model be evaluated on any data, not on the validation part alone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cllm/model_config.h"
#include "cllm/train_observer.h"
#include "data/documents.h"
#include "data/evaluation_rows.h"
#include "data/token_source.h"

namespace cllm {

/// Opens data for a model, whose vocabulary stands in where the files do not say their own. Of data
/// that come with a validation part, it is that part.
TokenSource open_for_evaluation(const std::string& path, const ModelConfig& model);

/// Returns the files that open_for_evaluation() would open, if they are text; else none.
std::vector<std::string> text_files_for_evaluation(const std::string& path);

/// Throws InputError unless the model can read the data. `byte_tokens`: its tokens are bytes.
void check_readable(const TokenSource& source, const ModelConfig& model, bool byte_tokens);

/// Returns bits per byte of text for a mean loss in nats a token, by the ratio of tokens to bytes
/// in all of the source; 0 when the bytes are not known. `text_bytes`, when not 0, replaces what
/// the source says.
double bits_per_byte(double loss, const TokenSource& source, std::int64_t text_bytes = 0);

/// Returns the longest sequence that evaluates the data by a model of this context.
std::int64_t longest_sequence(const TokenSource& source, std::int64_t context);

/// Returns the rows of `sequence` tokens that evaluate the data: windows of a text, packed
/// examples. As few as hold `tokens`; all of them when that is 0. Throws InputError when no example
/// has anything to predict. A `border` is the token that begins a document in a text, where tokens
/// see their own document only. REQUIRES: the model can read the data; the source outlives the
/// rows.
std::unique_ptr<EvaluationRows> rows_to_evaluate(const TokenSource& source, std::int64_t sequence,
                                                 std::int64_t tokens = 0,
                                                 std::int32_t border = kNoBorder);

/// Reports a mean loss over rows of the data. `text_bytes` is as in Model::evaluate.
EvaluationReport evaluation_of(const TokenSource& source, const EvaluationRows& rows,
                               std::int64_t step, double loss, std::int64_t text_bytes = 0);

}  // namespace cllm
