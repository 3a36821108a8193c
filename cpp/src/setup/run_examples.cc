#include "setup/run_examples.h"

#include <algorithm>
#include <memory>
#include <string>

#include "base/refuse.h"
#include "base/words.h"
#include "cllm/wording.h"
#include "data/sequence_length.h"

namespace cllm {
namespace {

constexpr double kDefaultEpochs = 3;  // a model begins to recite its examples after a few

std::shared_ptr<const Examples> examples_of(const std::unique_ptr<TokenSource>& source) {
  if (source == nullptr || !source->has_marks()) return nullptr;
  return std::make_shared<const Examples>(*source);
}

void note_counts(RunPlan& plan, const ExampleRows& rows, const std::string& part) {
  const RowCounts& counts = rows.counts();
  if (counts.cut > 0) {
    plan.notes.push_back(counted(counts.cut, "example") + part + " cut after " +
                         counted(rows.sequence(), "token") + ", which leaves out " +
                         counted(counts.cut_tokens, "token") + ": " + option_word("seq") +
                         " makes room");
  }
  if (counts.left_out > 0) {
    plan.notes.push_back(counted(counts.left_out, "example") + part +
                         " left out: nothing is to be predicted in the first " +
                         counted(rows.sequence(), "token"));
  }
}

}  // namespace

void find_examples(RunPlan& plan) {
  plan.examples = examples_of(plan.source);
  plan.validation_examples = examples_of(plan.validation_source);
}

std::int64_t example_sequence(const RunPlan& plan, std::int64_t requested, std::int64_t context) {
  if (requested > 0) return requested;
  std::int64_t longest = plan.examples->longest();
  if (plan.validation_examples) {
    longest = std::max(longest, plan.validation_examples->longest());
  }
  return std::min({longest, kDefaultExampleSequence, context});
}

void pack_examples(RunPlan& plan) {
  if (!plan.examples) return;
  TrainConfig& c = plan.config;
  const Packing packing = packing_named(c.packing);
  plan.rows = std::make_shared<const ExampleRows>(plan.examples, c.sequence, packing);
  if (plan.rows->size() == 0) {
    refuse("no example has anything to predict within the sequence length",
           option_word("seq", std::to_string(c.sequence)),
           "sequences in which an answer begins; the longest example has " +
               counted(plan.examples->longest(), "token"),
           option_word("data", c.data));
  }
  note_counts(plan, *plan.rows, "");
  if (plan.validation_examples) {
    const auto rows =
        std::make_shared<const ExampleRows>(plan.validation_examples, c.sequence, packing);
    note_counts(plan, *rows, " to validate");
    if (rows->size() > 0) plan.validation_rows = rows;
  }
  if (!plan.validation_rows) plan.validation.end = plan.validation.begin;
  if (c.steps == 0 && c.epochs == 0) c.epochs = kDefaultEpochs;
}

}  // namespace cllm
