// The examples of a run: where they stand in its data, how long its sequences are, and how they are
// packed into them.
#pragma once

#include <cstdint>

#include "setup/run_plan.h"

namespace cllm {

/// Finds the examples of plan.source and, if there is one, of plan.validation_source, where they
/// have marks; does nothing for other data.
void find_examples(RunPlan& plan);

/// Returns T for the examples of a plan: `requested` or, when that is 0, as long as the longest
/// example, kDefaultExampleSequence and `context` allow. REQUIRES: plan.examples.
std::int64_t example_sequence(const RunPlan& plan, std::int64_t requested, std::int64_t context);

/// Packs the examples into sequences, decides the length of a run for which nobody said one, and
/// notes what is cut or left out; does nothing for other data. Throws InputError when there is
/// nothing to train on. REQUIRES: the sequence is decided.
void pack_examples(RunPlan& plan);

}  // namespace cllm
