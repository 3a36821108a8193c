// A RunPlan turns what the user asked for into what will be done: data is opened, every "auto" is
// decided, and everything is checked before anything is written.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/carried_files.h"
#include "cllm/train_config.h"
#include "data/documents.h"
#include "data/example_rows.h"
#include "data/split.h"
#include "engine/session.h"
#include "setup/resume.h"

namespace cllm {

struct RunPlan {
  TrainConfig config;                 ///< every "auto" decided
  std::optional<ResumePoint> resume;  ///< where a resumed run continues
  SessionConfig session;
  bool byte_tokens = true;
  std::string init_folder;              ///< the model folder of --init; "": new weights
  std::string adapter_folder;           ///< that of --lora-init; "": new adapters
  ExtraFiles carried;                   ///< further files that the checkpoints keep: tokenizer, ...
  std::optional<DataSet> data_set;      ///< what --data names, when it is a data set's folder
  std::unique_ptr<TokenSource> source;  ///< of the training tokens
  std::unique_ptr<TokenSource> validation_source;  ///< if it has files of its own
  TokenRange train;
  TokenRange validation;  ///< empty: none
  /// Where the data are examples, these say where each stands, and the rows of T tokens that are
  /// made of them; null for other data, and where none validates.
  std::shared_ptr<const Examples> examples, validation_examples;
  std::shared_ptr<const ExampleRows> rows, validation_rows;
  std::int32_t border = kNoBorder;  ///< the token that begins a document, with --document-mask
  std::vector<std::string> notes;   ///< what the user should know; each is said once
  std::vector<std::string> news;    ///< what the user asked for and might like to know

  /// Returns how many tokens one epoch trains on; of examples, padding included.
  std::int64_t epoch_tokens() const noexcept;

  /// Says whether the run continues in the folder that it has been in.
  bool continues_in_place() const;
};

/// Makes the plan. Throws InputError for everything that cannot be done, such as a run that does
/// not fit in memory or whose place is taken.
RunPlan plan_run(const TrainConfig& config);

/// Describes in one line what takes long before the first step; "" when nothing does.
std::string describe_preparation(const RunPlan& plan);

}  // namespace cllm
