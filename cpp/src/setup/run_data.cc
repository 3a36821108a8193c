#include "setup/run_data.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/refuse.h"
#include "base/sha256.h"
#include "cllm/memory_data.h"
#include "cllm/wording.h"

namespace cllm {
namespace {

void add_notes(RunPlan& plan, const TokenSource& source) {
  for (std::string& note : source.notes()) {
    // The second of two files can have the same note on --vocab.
    if (std::find(plan.notes.begin(), plan.notes.end(), note) == plan.notes.end()) {
      plan.notes.push_back(std::move(note));
    }
  }
}

/// Says whether both are the same file or, as far as is known without waiting, one is a copy of the
/// other.
bool same_data(const RunPlan& plan) {
  const TokenSource& train = *plan.source;
  const TokenSource& validation = *plan.validation_source;
  return validation.shares_file(train) ||
         (train.is_hashed() && validation.is_hashed() && validation.matches(train.fingerprint()));
}

/// Opens what is named and checks it; begins to watch it.
std::unique_ptr<TokenSource> ready(TokenSource&& opened) {
  auto source = std::make_unique<TokenSource>(std::move(opened));
  source->verify();
  source->watch();
  return source;
}

/// Opens the data of --val. A data set that is named there gives its validation part, if it has
/// one.
std::unique_ptr<TokenSource> open_named_validation(const TrainConfig& c) {
  const MemoryData::Pointer memory = find_memory_data(c, c.validation);
  if (memory) return ready(TokenSource(memory, c.vocabulary));
  const DataFiles files = find_data_files(c.validation);
  return ready(open_files(files, files.judged(), c.vocabulary));
}

/// Opens the training data and, where they come with one, their validation part.
void open_sources(RunPlan& plan) {
  const TrainConfig& c = plan.config;
  const MemoryData::Pointer memory = find_memory_data(c, c.data);
  if (memory) {
    plan.source = ready(TokenSource(memory, c.vocabulary));
  } else {
    const DataFiles files = find_data_files(c.data);
    plan.source = ready(open_files(files, files.train, c.vocabulary));
    if (c.validation.empty() && !files.validation.empty()) {
      plan.validation_source = ready(open_files(files, files.validation, c.vocabulary));
    }
    plan.data_set = files.set;
  }
  if (!c.validation.empty()) plan.validation_source = open_named_validation(c);
}

void check_validation_kind(const RunPlan& plan) {
  const TokenSource& train = *plan.source;
  const TokenSource& validation = *plan.validation_source;
  const std::string where = plan.config.validation.empty()
                                ? option_word("data", plan.config.data)
                                : option_word("val", plan.config.validation);
  if (validation.is_bytes() != train.is_bytes()) {
    refuse("training and validation data are of different kinds", validation.kind(), train.kind(),
           where);
  }
  if (validation.has_marks() != train.has_marks()) {
    const auto what = [](const TokenSource& source) {
      return source.has_marks() ? "examples of answers" : "texts";
    };
    refuse("training and validation data are of different kinds", what(validation), what(train),
           where, "prepare both in one way");
  }
  const std::string known = train.tokenizer(), other = validation.tokenizer();
  if (!known.empty() && !other.empty() && known != other) {
    refuse("training and validation data are of different tokenizers", "SHA-256 " + other, known,
           where, "prepare both with one tokenizer");
  }
}

/// Keeps the chat template by which the examples were made, and what ends their answers: the model
/// answers in this form.
void carry_form(RunPlan& plan) {
  if (!plan.data_set || !plan.data_set->has_examples()) return;
  add_end_tokens(plan.carried, plan.data_set->answer_ends);
  for (auto& file : carried_files(*plan.data_set, plan.session.model.context)) {
    if (file.first != "chat_template.jinja") continue;
    const auto same = [&](const auto& kept) { return kept.first == file.first; };
    const auto kept = std::find_if(plan.carried.begin(), plan.carried.end(), same);
    if (kept != plan.carried.end()) plan.carried.erase(kept);
    plan.carried.push_back(std::move(file));
  }
}

/// Returns the token that stands between documents, if they are to be told apart.
std::int32_t border_of(const RunPlan& plan) {
  if (!plan.config.document_mask || plan.source->has_marks()) return kNoBorder;
  if (plan.data_set) return plan.data_set->end_of_text;
  if (plan.byte_tokens) return static_cast<std::int32_t>(TokenSource::kByteVocabulary) - 1;
  refuse("which token ends a document is not known", plan.source->kind(),
         "a data set of `cllm prepare`, which says it", option_word("document-mask"));
}

}  // namespace

void open_data(RunPlan& plan) {
  open_sources(plan);
  plan.byte_tokens = plan.source->is_bytes();
  plan.border = border_of(plan);
  add_notes(plan, *plan.source);
  plan.train = whole(*plan.source);
  if (plan.source->has_marks() && !plan.validation_source) {
    plan.validation = {plan.source.get(), 0, 0};  // what to keep apart was decided when it was made
    return;
  }
  if (plan.validation_source) {
    check_validation_kind(plan);
    plan.validation = whole(*plan.validation_source);
    if (same_data(plan)) {
      plan.notes.push_back("warning: " + option_word("val") +
                           " is the training data itself: its loss says nothing of text that the "
                           "model has not seen" +
                           (plan.source->has_marks() ? "" : " (without it a tenth is kept apart)"));
    } else {
      add_notes(plan, *plan.validation_source);
    }
  } else {
    const Split split = split_train_validation(plan.train);
    plan.train = split.train;
    plan.validation = split.validation;
  }
  if (plan.validation.size() < 2) {
    plan.validation.end = plan.validation.begin;
    plan.notes.push_back("the validation part has under two tokens: nothing is evaluated");
  }
}

std::int64_t needed_vocabulary(const RunPlan& plan) {
  const std::int64_t vocabulary = plan.source->vocabulary();
  if (vocabulary == 0) {
    refuse("this token file does not say how large its vocabulary is", plan.source->kind(),
           option_word("vocab", "N") + ", at least " +
               std::to_string(plan.source->largest_token() + 1),
           plan.config.data, "50257 for GPT-2's tokenizer, 128256 for Llama 3's");
  }
  const std::int64_t other =
      plan.validation_source ? plan.validation_source->vocabulary() : vocabulary;
  return std::max(vocabulary, other);
}

void carry_tokenizer(RunPlan& plan, bool start_byte_tokens) {
  // If a byte model trains on token ids, they come from another tokenizer than the folder's.
  const bool same_kind = plan.byte_tokens == start_byte_tokens;
  if (same_kind) plan.carried = carried_files(plan.init_folder);
  const std::string of_data = plan.byte_tokens ? "" : plan.source->tokenizer();
  const std::string* const of_model = find_file(plan.carried, "tokenizer.json");
  if (of_model != nullptr) {
    const std::string known = hex(sha256(*of_model));
    if (of_data.empty()) return;
    if (known == of_data) return carry_form(plan);
    refuse("the data were made with another tokenizer than the model's", "SHA-256 " + of_data,
           known + ", as " + plan.init_folder + "/tokenizer.json",
           option_word("data", plan.config.data),
           "prepare them with the model's: `cllm prepare` takes its folder as the tokenizer");
  }
  if (!plan.data_set || plan.byte_tokens) return;
  // The folder's config.json stays; the tokenizer comes from the data.
  for (auto& file : carried_files(*plan.data_set, plan.session.model.context)) {
    if (find_file(plan.carried, file.first) == nullptr) plan.carried.push_back(std::move(file));
  }
}

}  // namespace cllm
