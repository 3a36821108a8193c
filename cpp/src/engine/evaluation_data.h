// These functions let a model be evaluated on any data, not on the validation part alone.
#pragma once

#include <cstdint>
#include <string>

#include "cllm/model_config.h"
#include "cllm/train_observer.h"
#include "data/token_source.h"

namespace cllm {

/// Opens a file for a model, whose vocabulary stands in where the file does not say its own.
TokenSource open_for_evaluation(const std::string& path, const ModelConfig& model);

/// Throws InputError unless the model can read the data. `byte_tokens`: its tokens are bytes.
void check_readable(const TokenSource& source, const ModelConfig& model, bool byte_tokens);

/// Reports a mean loss over all of the data. `text_bytes` is as in Model::evaluate.
EvaluationReport evaluation_of(const TokenSource& source, std::int64_t step, double loss,
                               std::int64_t text_bytes = 0);

}  // namespace cllm
