// The data of a run: which files are trained on, which validate, and which tokenizer they have.
#pragma once

#include <cstdint>

#include "setup/run_plan.h"

namespace cllm {

/// Opens what --data and --val name and sets the plan's sources, ranges, notes and data set. When
/// nothing is named, a data set's validation part validates, or the last tenth of the training
/// data. Throws InputError for data that cannot be read or do not belong together.
void open_data(RunPlan& plan);

/// Returns the vocabulary that the tokens need: known from the files, or asked for. Throws
/// InputError when it is neither.
std::int64_t needed_vocabulary(const RunPlan& plan);

/// Keeps the files of the model that the run starts from, plan.init_folder, but for the chat
/// template, which examples bring. Throws InputError unless its tokenizer is that of the data,
/// where both are known. `start_byte_tokens`: the model's tokens are bytes.
void carry_tokenizer(RunPlan& plan, bool start_byte_tokens);

}  // namespace cllm
